//! The languages, one row each.

use super::language::{Language, LexerFlags, LexerKind, StringQuote};

const fn short(mark: &'static str) -> StringQuote {
    StringQuote { open: mark, close: mark, escapes: true, is_multiline: false }
}

const fn long(mark: &'static str) -> StringQuote {
    StringQuote { open: mark, close: mark, escapes: true, is_multiline: true }
}

const fn raw(open: &'static str, close: &'static str) -> StringQuote {
    StringQuote { open, close, escapes: false, is_multiline: true }
}

const DOUBLE_QUOTE: StringQuote = short("\"");
const SINGLE_QUOTE: StringQuote = short("'");

const NO_FLAGS: LexerFlags = LexerFlags {
    capitals: false,
    calls: false,
    any_case: false,
    directives: false,
    at_words: false,
    dollars: false,
    rust: false,
    dashes: false,
    string_keys: false,
    nests: false,
    spaced_comments: false,
};
const COMMON_FLAGS: LexerFlags = LexerFlags { capitals: true, calls: true, ..NO_FLAGS };
const ANNOTATED_FLAGS: LexerFlags = LexerFlags { at_words: true, ..COMMON_FLAGS };

pub(super) const PLAIN_LANGUAGE: Language = Language {
    names: &[],
    lexer: LexerKind::Generic,
    comments: &[],
    block_comment: None,
    quotes: &[],
    keywords: "",
    types: "",
    constants: "",
    flags: NO_FLAGS,
};

const SLASH_COMMENTS: Language = Language {
    comments: &["//"],
    block_comment: Some(("/*", "*/")),
    quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
    flags: COMMON_FLAGS,
    ..PLAIN_LANGUAGE
};
const HASH_COMMENTS: Language =
    Language { comments: &["#"], quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE], flags: COMMON_FLAGS, ..PLAIN_LANGUAGE };

const BOOLEAN_WORDS: &str = "true false null";

pub(super) static LANGUAGES: &[Language] = &[
    Language {
        names: &["rust", "rs"],
        quotes: &[long("\"")],
        keywords: "as async await break const continue crate dyn else enum extern fn for if impl in let loop \
            macro_rules match mod move mut pub ref return self static struct super trait type unsafe use \
            where while union",
        types: "bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize Self",
        constants: "true false None Some Ok Err",
        flags: LexerFlags { rust: true, nests: true, ..COMMON_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["python", "py", "python3", "py3", "pyi", "starlark"],
        quotes: &[long("\"\"\""), long("'''"), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "and as assert async await break case class continue def del elif else except finally for from \
            global if import in is lambda match nonlocal not or pass raise return try while with yield",
        types: "bool bytes bytearray complex dict float frozenset int list object set str tuple type",
        constants: "True False None self cls",
        flags: ANNOTATED_FLAGS,
        ..HASH_COMMENTS
    },
    Language {
        names: &["javascript", "js", "jsx", "mjs", "cjs", "node"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE, long("`")],
        keywords: "as async await break case catch class const continue debugger default delete do else export \
            extends finally for from function get if import in instanceof let new of return set static super \
            switch this throw try typeof var void while with yield",
        constants: "true false null undefined NaN Infinity",
        flags: ANNOTATED_FLAGS,
        ..SLASH_COMMENTS
    },
    Language {
        names: &["typescript", "ts", "tsx", "mts", "cts"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE, long("`")],
        keywords: "as async await break case catch class const continue debugger default delete do else export \
            extends finally for from function get if import in instanceof let new of return set static super \
            switch this throw try typeof var void while with yield abstract declare enum implements infer \
            interface is keyof namespace override private protected public readonly satisfies type unique",
        types: "any bigint boolean never number object string symbol unknown",
        constants: "true false null undefined NaN Infinity",
        flags: ANNOTATED_FLAGS,
        ..SLASH_COMMENTS
    },
    Language {
        names: &["go", "golang"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE, raw("`", "`")],
        keywords: "break case chan const continue default defer else fallthrough for func go goto if import \
            interface map package range return select struct switch type var",
        types: "any bool byte complex64 complex128 error float32 float64 int int8 int16 int32 int64 rune string \
            uint uint8 uint16 uint32 uint64 uintptr",
        constants: "true false nil iota",
        ..SLASH_COMMENTS
    },
    Language {
        names: &["c", "h"],
        keywords: "auto break case const continue default do else enum extern for goto if inline register restrict \
            return sizeof static struct switch typedef union volatile while",
        types: "bool char double float int long short signed unsigned void size_t ssize_t int8_t int16_t int32_t \
            int64_t uint8_t uint16_t uint32_t uint64_t uintptr_t FILE",
        constants: "NULL true false",
        flags: LexerFlags { directives: true, capitals: false, ..COMMON_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["cpp", "c++", "cc", "cxx", "hpp", "hh", "cuda", "cu", "arduino", "ino"],
        keywords: "auto break case const continue default do else enum extern for goto if inline register restrict \
            return sizeof static struct switch typedef union volatile while alignas alignof catch class \
            concept consteval constexpr constinit const_cast co_await co_return co_yield decltype delete \
            dynamic_cast explicit export final friend import module mutable namespace new noexcept operator \
            override private protected public reinterpret_cast requires static_assert static_cast template \
            this throw try typeid typename using virtual",
        types: "bool char double float int long short signed unsigned void size_t ssize_t int8_t int16_t int32_t \
            int64_t uint8_t uint16_t uint32_t uint64_t uintptr_t FILE wchar_t string vector map",
        constants: "nullptr NULL true false",
        flags: LexerFlags { directives: true, ..COMMON_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["objective-c", "objc", "objectivec", "m"],
        keywords: "auto break case const continue default do else enum extern for goto if inline register restrict \
            return sizeof static struct switch typedef union volatile while self super",
        types: "bool char double float int long short signed unsigned void size_t ssize_t int8_t int16_t int32_t \
            int64_t uint8_t uint16_t uint32_t uint64_t uintptr_t FILE id BOOL instancetype",
        constants: "nil NULL YES NO",
        flags: LexerFlags { directives: true, ..ANNOTATED_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["java"],
        quotes: &[long("\"\"\""), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract assert break case catch class continue default do else enum extends final finally for \
            if implements import instanceof interface native new package permits private protected public \
            record return sealed static strictfp super switch synchronized this throw throws transient try \
            var volatile while yield",
        types: "boolean byte char double float int long short void",
        constants: BOOLEAN_WORDS,
        flags: ANNOTATED_FLAGS,
        ..SLASH_COMMENTS
    },
    Language {
        names: &["kotlin", "kt", "kts"],
        quotes: &[raw("\"\"\"", "\"\"\""), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract actual annotation as break by catch class companion const constructor continue \
            crossinline data do else enum expect external final finally for fun get if import in infix init \
            inline inner interface internal is lateinit noinline object open operator out override package \
            private protected public reified return sealed set super suspend tailrec this throw try \
            typealias val value var vararg when where while",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { nests: true, ..ANNOTATED_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["scala", "sc"],
        quotes: &[raw("\"\"\"", "\"\"\""), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract case catch class def do else enum extends final finally for given if implicit import \
            lazy match new object override package private protected return sealed super then this throw \
            trait try type using val var while with yield",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { nests: true, ..ANNOTATED_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["swift"],
        quotes: &[long("\"\"\""), DOUBLE_QUOTE],
        keywords: "actor as associatedtype async await break case catch class continue convenience default defer \
            deinit didSet do else enum extension fallthrough fileprivate final for func get guard if import \
            in indirect init inout internal is lazy let mutating nonisolated open operator override private \
            protocol public repeat required rethrows return self set some static struct subscript super \
            switch throw throws try typealias unowned var weak where while willSet",
        constants: "true false nil Self",
        flags: LexerFlags { nests: true, ..ANNOTATED_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["csharp", "cs", "c#", "dotnet"],
        quotes: &[raw("\"\"\"", "\"\"\""), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract as async await base break case catch checked class const continue default delegate do \
            else enum event explicit extern finally fixed for foreach get goto if implicit in init interface \
            internal is lock namespace new operator out override params partial private protected public \
            readonly record ref required return sealed set sizeof stackalloc static struct switch this throw \
            try typeof unchecked unsafe using var virtual volatile when where while with yield",
        types: "bool byte char decimal double dynamic float int long nint object sbyte short string uint ulong \
            ushort void",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { directives: true, ..COMMON_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["fsharp", "fs", "f#", "ocaml", "ml"],
        comments: &["//"],
        block_comment: Some(("(*", "*)")),
        quotes: &[long("\"\"\""), DOUBLE_QUOTE],
        keywords: "and as assert begin class do done downto elif else end exception external for fun function \
            functor if in include inherit let match member module mutable namespace new object of open or \
            override rec sig static struct then to try type val virtual when while with yield",
        types: "bool char float int list option string unit",
        constants: "true false None Some",
        flags: LexerFlags { nests: true, capitals: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["ruby", "rb", "rake", "gemfile", "podfile"],
        quotes: &[long("\""), long("'")],
        keywords: "alias and begin break case class def defined? do else elsif end ensure extend for if in include \
            loop module next not or private protected public raise redo rescue retry return self super then \
            undef unless until when while yield require require_relative attr_accessor attr_reader \
            attr_writer",
        constants: "true false nil",
        flags: ANNOTATED_FLAGS,
        ..HASH_COMMENTS
    },
    Language {
        names: &["php"],
        comments: &["//", "#"],
        block_comment: Some(("/*", "*/")),
        quotes: &[long("\""), long("'")],
        keywords: "abstract and array as break callable case catch class clone const continue declare default do \
            echo else elseif empty enum extends final finally fn for foreach function global goto if \
            implements include instanceof insteadof interface isset list match namespace new or print \
            private protected public readonly require require_once return static switch throw trait try \
            unset use var while yield",
        types: "bool float int iterable mixed never object string void",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { dollars: true, ..COMMON_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["shell", "sh", "bash", "zsh", "ksh", "fish", "ash"],
        comments: &["#"],
        quotes: &[long("\""), raw("'", "'")],
        keywords: "alias case cd declare do done echo elif else esac eval exec exit export fi for function if in \
            local printf read readonly return select set shift source then trap unset until while sudo",
        flags: LexerFlags { dollars: true, dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["powershell", "ps1", "pwsh"],
        comments: &["#"],
        block_comment: Some(("<#", "#>")),
        quotes: &[StringQuote { open: "\"", close: "\"", escapes: false, is_multiline: true }, raw("'", "'")],
        keywords: "begin break catch class continue data do dynamicparam else elseif end enum exit filter finally \
            for foreach from function if in param process return switch throw trap try until using while",
        flags: LexerFlags { dollars: true, dashes: true, any_case: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["sql", "mysql", "postgres", "postgresql", "sqlite", "plsql", "tsql"],
        comments: &["--"],
        block_comment: Some(("/*", "*/")),
        quotes: &[raw("'", "'"), raw("\"", "\"")],
        keywords: "add all alter analyze and as asc begin between by cascade case cast check collate column commit \
            conflict constraint create cross database default delete desc distinct do drop else end except \
            exists explain foreign from full function grant group having if ilike in index inner insert \
            intersect into is join key left like limit materialized natural not nothing offset on or order \
            outer over partition primary procedure recursive references replace returning revoke right \
            rollback row rows select set table temp temporary then to transaction trigger truncate union \
            unique update using values view when where window with",
        types: "bigint bigserial blob bool boolean bytea char date decimal double float int integer interval \
            json jsonb numeric real serial smallint text time timestamp timestamptz uuid varchar",
        constants: "true false null current_timestamp",
        flags: LexerFlags { any_case: true, calls: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["json", "jsonc", "json5", "jsonl", "ndjson"],
        comments: &["//"],
        block_comment: Some(("/*", "*/")),
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { string_keys: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["yaml", "yml"],
        lexer: LexerKind::Keys,
        constants: "true false null yes no on off ~",
        flags: LexerFlags { dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["toml"],
        lexer: LexerKind::Keys,
        quotes: &[
            long("\"\"\""),
            raw("'''", "'''"),
            DOUBLE_QUOTE,
            StringQuote { open: "'", close: "'", escapes: false, is_multiline: false },
        ],
        constants: "true false inf nan",
        flags: LexerFlags { dashes: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &[
            "ini",
            "cfg",
            "conf",
            "properties",
            "env",
            "dotenv",
            "editorconfig",
            "gitconfig",
            "systemd",
            "desktop",
        ],
        lexer: LexerKind::Keys,
        comments: &["#", ";"],
        quotes: &[DOUBLE_QUOTE],
        constants: "true false yes no on off none",
        flags: LexerFlags { dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["html", "htm", "xml", "svg", "xhtml", "vue", "svelte", "plist", "rss", "xsd"],
        lexer: LexerKind::Markup,
        block_comment: Some(("<!--", "-->")),
        quotes: &[long("\""), long("'")],
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["css", "scss", "sass", "less"],
        lexer: LexerKind::Css,
        comments: &["//"],
        block_comment: Some(("/*", "*/")),
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "important",
        flags: LexerFlags { dashes: true, dollars: true, at_words: true, calls: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language { names: &["markdown", "md", "mdx"], lexer: LexerKind::Markdown, ..PLAIN_LANGUAGE },
    Language {
        names: &["dockerfile", "docker", "containerfile"],
        lexer: LexerKind::Docker,
        comments: &["#"],
        quotes: &[long("\""), raw("'", "'")],
        keywords: "ADD ARG AS CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL \
            STOPSIGNAL USER VOLUME WORKDIR",
        flags: LexerFlags { dollars: true, dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["make", "makefile", "mk", "gnumake"],
        lexer: LexerKind::Make,
        comments: &["#"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "define else endef endif export ifdef ifeq ifndef ifneq include override unexport vpath",
        flags: LexerFlags { dollars: true, dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["cmake"],
        keywords: "if else elseif endif foreach endforeach function endfunction macro endmacro while endwhile \
            return include set unset option project add_executable add_library target_link_libraries \
            find_package",
        constants: "on off true false",
        flags: LexerFlags { dollars: true, calls: true, any_case: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["lua", "luau"],
        comments: &["--"],
        block_comment: Some(("--[[", "]]")),
        quotes: &[raw("[[", "]]"), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "and break do else elseif end for function goto if in local not or repeat return then until while",
        constants: "true false nil self",
        flags: LexerFlags { calls: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["perl", "pl", "pm"],
        quotes: &[long("\""), long("'")],
        keywords: "and die do else elsif eval for foreach given if last local my next no not or our package print \
            redo require return say sub undef unless until use wantarray when while",
        flags: LexerFlags { dollars: true, calls: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["r", "rlang"],
        keywords: "break else for function if in next repeat return while library require",
        constants: "TRUE FALSE NULL NA NaN Inf",
        flags: LexerFlags { calls: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["julia", "jl"],
        block_comment: Some(("#=", "=#")),
        quotes: &[long("\"\"\""), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract baremodule begin break catch const continue do else elseif end export finally for \
            function global if import in let local macro module mutable primitive quote return struct try \
            type using where while",
        constants: "true false nothing missing",
        flags: LexerFlags { nests: true, ..ANNOTATED_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["dart"],
        quotes: &[long("\"\"\""), long("'''"), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract as assert async await break case catch class const continue default deferred do dynamic \
            else enum export extends extension external factory final finally for get hide if implements \
            import in interface is late library mixin new of on operator part required rethrow return sealed \
            set show static super switch sync this throw try typedef var when while with yield",
        types: "bool double int num String void",
        constants: BOOLEAN_WORDS,
        flags: ANNOTATED_FLAGS,
        ..SLASH_COMMENTS
    },
    Language {
        names: &["zig"],
        comments: &["//"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "align allowzero and anyframe anytype asm async await break callconv catch comptime const \
            continue defer else enum errdefer error export extern fn for if inline linksection noalias \
            noinline nosuspend opaque or orelse packed pub resume return struct suspend switch test \
            threadlocal try union unreachable usingnamespace var volatile while",
        types: "bool f16 f32 f64 f128 i8 i16 i32 i64 i128 isize noreturn type u8 u16 u32 u64 u128 usize void \
            anyerror",
        constants: "true false null undefined",
        flags: ANNOTATED_FLAGS,
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["haskell", "hs"],
        comments: &["--"],
        block_comment: Some(("{-", "-}")),
        quotes: &[DOUBLE_QUOTE],
        keywords: "as case class data default deriving do else forall foreign hiding if import in infix infixl \
            infixr instance let module newtype of qualified then type where",
        constants: "True False Nothing Just",
        flags: LexerFlags { nests: true, capitals: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["elm", "purescript"],
        comments: &["--"],
        block_comment: Some(("{-", "-}")),
        quotes: &[long("\"\"\""), DOUBLE_QUOTE],
        keywords: "alias as case else exposing if import in let module of port then type where",
        constants: "True False",
        flags: LexerFlags { nests: true, capitals: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["elixir", "ex", "exs"],
        quotes: &[long("\"\"\""), long("\""), SINGLE_QUOTE],
        keywords: "after alias and case catch cond def defimpl defmacro defmodule defp defprotocol defstruct do \
            else end fn for if import in not or quote raise receive require rescue super try unless unquote \
            use when with",
        constants: "true false nil",
        flags: ANNOTATED_FLAGS,
        ..HASH_COMMENTS
    },
    Language {
        names: &["erlang", "erl"],
        comments: &["%"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "after and andalso begin case catch cond div end fun if let not of or orelse receive rem try when \
            xor",
        constants: "true false undefined ok error",
        flags: LexerFlags { calls: true, capitals: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["clojure", "clj", "cljs", "edn", "lisp", "elisp", "scheme", "racket"],
        comments: &[";"],
        quotes: &[long("\"")],
        keywords: "and case catch cond def defmacro defn defn- defmethod defmulti defprotocol defrecord defun \
            define do doseq dotimes finally fn for if if-let lambda let loop ns or quote recur require set! \
            setq throw try when when-let while",
        constants: "true false nil t",
        flags: LexerFlags { dashes: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["nix"],
        comments: &["#"],
        block_comment: Some(("/*", "*/")),
        quotes: &[raw("''", "''"), long("\"")],
        keywords: "assert else if import in inherit let or rec then with",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { dashes: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["hcl", "terraform", "tf"],
        comments: &["#", "//"],
        block_comment: Some(("/*", "*/")),
        quotes: &[DOUBLE_QUOTE],
        keywords: "data dynamic for for_each if in locals module moved output provider resource terraform variable",
        types: "any bool list map number object set string",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { dashes: true, calls: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["protobuf", "proto"],
        keywords: "enum extend extensions import message map oneof option optional package public repeated required \
            reserved returns rpc service stream syntax",
        types: "bool bytes double fixed32 fixed64 float int32 int64 sint32 sint64 string uint32 uint64",
        constants: BOOLEAN_WORDS,
        ..SLASH_COMMENTS
    },
    Language {
        names: &["graphql", "gql"],
        quotes: &[long("\"\"\""), DOUBLE_QUOTE],
        keywords: "directive enum extend fragment implements input interface mutation on query scalar schema \
            subscription type union",
        types: "Boolean Float ID Int String",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { at_words: true, dollars: true, ..COMMON_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["solidity", "sol"],
        keywords: "abstract assembly break calldata constant constructor continue contract delete do else emit enum \
            error event external fallback for function if immutable import indexed interface internal is \
            library mapping memory modifier new override payable pragma private public pure receive return \
            returns revert storage struct try using view virtual while",
        types: "address bool bytes bytes32 int int256 string uint uint8 uint256",
        constants: "true false this super",
        ..SLASH_COMMENTS
    },
    Language {
        names: &["wgsl", "glsl", "hlsl", "metal"],
        keywords: "attribute break case const continue default discard do else fn for if in inout let loop out \
            precision return struct switch uniform var varying void while",
        types: "bool f32 float i32 int mat2 mat3 mat4 sampler2D u32 uint vec2 vec3 vec4",
        constants: "true false",
        flags: LexerFlags { directives: true, at_words: true, calls: true, ..NO_FLAGS },
        ..SLASH_COMMENTS
    },
    Language {
        names: &["asm", "nasm", "assembly", "x86asm", "armasm"],
        comments: &[";", "//", "#"],
        quotes: &[DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "section global extern db dw dd dq mov lea push pop add sub mul imul div idiv inc dec and or xor \
            not shl shr cmp test jmp je jne jz jnz jg jge jl jle call ret syscall int nop",
        types: "rax rbx rcx rdx rsi rdi rbp rsp eax ebx ecx edx esi edi ebp esp",
        flags: LexerFlags { any_case: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["vim", "viml", "vimscript"],
        comments: &[],
        quotes: &[SINGLE_QUOTE],
        keywords: "autocmd augroup call catch command echo else elseif endfor endfunction endif endtry endwhile \
            execute finally for function highlight if let map nmap nnoremap noremap return set setlocal \
            syntax try unlet vmap while",
        flags: LexerFlags { calls: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language { names: &["diff", "patch", "udiff"], lexer: LexerKind::Diff, ..PLAIN_LANGUAGE },
    Language {
        names: &["console", "shellsession", "terminal", "sh-session"],
        lexer: LexerKind::Console,
        comments: &["#"],
        quotes: &[long("\""), raw("'", "'")],
        keywords: "cd echo exit export for if in do done then fi while sudo",
        flags: LexerFlags { dollars: true, dashes: true, spaced_comments: true, ..NO_FLAGS },
        ..PLAIN_LANGUAGE
    },
    Language {
        names: &["nginx", "nginxconf", "caddy", "caddyfile"],
        keywords: "events http if include listen location proxy_pass return root rewrite server server_name set \
            ssl_certificate try_files upstream worker_processes",
        constants: "on off",
        flags: LexerFlags { dollars: true, dashes: true, ..NO_FLAGS },
        ..HASH_COMMENTS
    },
    Language {
        names: &["groovy", "gradle", "jenkinsfile"],
        quotes: &[long("\"\"\""), long("'''"), DOUBLE_QUOTE, SINGLE_QUOTE],
        keywords: "abstract as assert break case catch class continue def default do else enum extends final \
            finally for if implements import in instanceof interface new package private protected public \
            return static super switch this throw throws trait try var void while",
        constants: BOOLEAN_WORDS,
        flags: LexerFlags { dollars: true, ..ANNOTATED_FLAGS },
        ..SLASH_COMMENTS
    },
];
