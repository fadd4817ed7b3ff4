//! Commands and redirections of a command line, as the grammar of bash finds them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, Parser};

use super::words::Word;

/// How often the parser reports progress before a line counts as unreadable; each time it has done about a hundred steps.
const MAX_PROGRESS_REPORTS: usize = 100_000;

/// How deep an honest line's syntax stands in itself.
const MAX_NESTING: usize = 500;

/// What stands in a line, in its order.
pub(super) enum Found {
    Command(FoundCommand),
    /// To or from a file: the operator and the file.
    Redirection {
        operator: &'static str,
        file: Word,
    },
    /// What computes or tests; it may run something if it isn't literal.
    Expression(String),
}

/// A command with its assignments and arguments.
#[derive(Default)]
pub(super) struct FoundCommand {
    pub text: String,
    pub words: Vec<Word>,
    pub input: Input,
}

/// What a command finds on its standard input.
#[derive(Default)]
pub(super) enum Input {
    /// Nothing that the line says.
    #[default]
    None,
    /// A text that stands in the line.
    Text(String),
    /// The output of the command before it in a pipe, by its place in the list.
    Command(usize),
    /// The output of something else, or a file.
    Unknown,
}

/// Lists what stands in `line`. An error completes "…" and says what can't be read.
pub(super) fn find_commands(line: &str) -> Result<Vec<Found>, String> {
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_bash::LANGUAGE.into()).is_err() {
        return Err("the grammar of bash can't be loaded".into());
    }
    let mut reports = 0;
    let mut count = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > MAX_PROGRESS_REPORTS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut read = |at: usize, _| line.as_bytes().get(at..).unwrap_or_default();
    let options = ParseOptions::new().progress_callback(&mut count);
    let tree = parser.parse_with_options(&mut read, None, Some(options)).ok_or("it takes too long to read")?;
    let mut walk = Walk { line, found: Vec::new(), visited: Vec::new(), commands: HashMap::new() };
    let mut stack = vec![Visit { node: tree.root_node(), parent: None, before: None, depth: 0 }];
    while let Some(visit) = stack.pop() {
        let (node, depth) = (visit.node, visit.depth);
        if depth > MAX_NESTING {
            return Err("its syntax stands in itself too deep".into());
        }
        if node.is_error() || node.is_missing() {
            return Err(match walk.text(node).lines().next().map(str::trim).filter(|text| !text.is_empty()) {
                Some(near) => format!("its syntax can't be read at `{}`", near.chars().take(40).collect::<String>()),
                None => "its syntax can't be read".into(),
            });
        }
        if walk.is_misread(node) {
            return Err(format!(
                "its syntax can't be read at `{}`",
                walk.text(node).chars().take(40).collect::<String>()
            ));
        }
        if has_stray_arguments(node) {
            return Err("it has arguments behind a redirection of several commands".into());
        }
        let place = walk.visited.len();
        walk.visited.push(visit);
        walk.visit(place);
        let children = stack.len();
        let mut before = None;
        for child in node.children(&mut node.walk()) {
            stack.push(Visit { node: child, parent: Some(place), before, depth: depth + 1 });
            before = if child.is_named() { Some(child) } else { before };
        }
        stack[children..].reverse();
    }
    Ok(walk.found)
}

/// A node on the way through the tree. Looking up parents in the tree itself begins at its root each time.
#[derive(Clone, Copy)]
struct Visit<'tree> {
    node: Node<'tree>,
    /// Its place among the visited.
    parent: Option<usize>,
    /// The named node before it below the same parent.
    before: Option<Node<'tree>>,
    depth: usize,
}

struct Walk<'a, 'tree> {
    line: &'a str,
    found: Vec<Found>,
    visited: Vec<Visit<'tree>>,
    /// The commands found so far, by their nodes, and their places in `found`.
    commands: HashMap<usize, usize>,
}

impl<'a, 'tree> Walk<'a, 'tree> {
    fn text(&self, node: Node<'_>) -> &'a str {
        self.line.get(node.byte_range()).unwrap_or_default()
    }

    /// Returns whether bash reads this otherwise than the grammar: a `#` behind an escaped blank begins no comment, and a
    /// brace without a blank behind it no group.
    fn is_misread(&self, node: Node<'_>) -> bool {
        match node.kind() {
            "comment" => {
                let before = self.line.get(..node.start_byte()).unwrap_or_default();
                before.strip_suffix(char::is_whitespace).is_some_and(|before| before.ends_with('\\'))
            }
            "compound_statement" => {
                self.text(node).strip_prefix('{').is_some_and(|group| !group.starts_with([' ', '\t', '\n']))
            }
            _ => false,
        }
    }

    fn parent(&self, visit: Visit<'tree>) -> Option<Visit<'tree>> {
        self.visited.get(visit.parent?).copied()
    }

    fn visit(&mut self, place: usize) {
        let visit = self.visited[place];
        let node = visit.node;
        let belongs_to_command =
            || self.parent(visit).is_some_and(|parent| matches!(parent.node.kind(), "command" | "declaration_command"));
        match node.kind() {
            "command" | "declaration_command" | "unset_command" => self.push_command(visit),
            "variable_assignment" if !belongs_to_command() => self.push_command(visit),
            "file_redirect" => self.push_redirection(node),
            "test_command" | "c_style_for_statement" => self.push_expression(node),
            "compound_statement" if self.text(node).starts_with("((") => self.push_expression(node),
            _ => {}
        }
    }

    /// A word may be computed; what is a literal computes nothing that could run something.
    fn push_expression(&mut self, node: Node<'_>) {
        let text = self.text(node);
        if text.contains(['$', '`']) || !text.starts_with('[') {
            self.found.push(Found::Expression(text.to_owned()));
        }
    }

    fn push_redirection(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let operator = node.children(&mut cursor).map(|child| child.kind()).find(|kind| kind.contains(['<', '>']));
        let file = node.child_by_field_name("destination").map(|file| Word::read(self.text(file)));
        let (Some(operator), Some(file)) = (operator, file) else { return };
        let is_descriptor =
            operator.ends_with('&') && file.is_literal && file.text.chars().all(|c| c.is_ascii_digit() || c == '-');
        let is_stream = file.is_literal && ["/dev/null", "/dev/stdout", "/dev/stderr"].contains(&file.text.as_str());
        if is_descriptor || is_stream {
            return;
        }
        let operator = match operator {
            "<" | "<&" => "<",
            ">>" | "&>>" => ">>",
            _ => ">",
        };
        self.found.push(Found::Redirection { operator, file });
    }

    fn push_command(&mut self, visit: Visit<'tree>) {
        let node = visit.node;
        let is_here = |kind: &str| kind.ends_with("_redirect");
        let mut cursor = node.walk();
        let children: Vec<Node<'tree>> =
            node.children(&mut cursor).filter(|child| !is_here(child.kind()) && child.kind() != "comment").collect();
        let mut words = if node.kind() == "variable_assignment" {
            vec![Word::read(self.text(node))]
        } else {
            children.iter().map(|child| Word::read(self.text(*child))).collect()
        };
        let from = children.first().map_or(node.start_byte(), Node::start_byte);
        let to = children.last().map_or(node.end_byte(), Node::end_byte);
        let mut text = self.line.get(from..to).unwrap_or_default().trim().to_owned();
        for argument in self.arguments_behind_redirections(visit) {
            text.extend([" ", self.text(argument)]);
            words.push(Word::read(self.text(argument)));
        }
        let input = self.input(visit);
        self.commands.insert(node.id(), self.found.len());
        self.found.push(Found::Command(FoundCommand { text, words, input }));
    }

    /// The grammar takes the arguments behind a redirection for parts of it: `ls > out -l`.
    fn arguments_behind_redirections(&self, command: Visit<'tree>) -> Vec<Node<'tree>> {
        let statement = self.parent(command).map(|parent| parent.node);
        let mine = statement.filter(|node| node.child_by_field_name("body") == Some(command.node));
        mine.map(redirection_arguments).unwrap_or_default()
    }

    /// Looks from the command outwards for what its standard input is.
    fn input(&self, command: Visit<'tree>) -> Input {
        if let Some(text) = self.here_text(command.node) {
            return text;
        }
        let mut inner = command;
        while let Some(outer) = self.parent(inner) {
            match outer.node.kind() {
                "redirected_statement" if outer.node.child_by_field_name("body") == Some(inner.node) => {
                    if let Some(text) = self.here_text(outer.node) {
                        return text;
                    }
                    if has_input_file(outer.node) {
                        return Input::Unknown;
                    }
                }
                "pipeline" => {
                    if let Some(before) = inner.before.or_else(|| self.piped_here_document(outer)) {
                        let is_direct = inner.node == command.node;
                        return if is_direct { self.output_of(before) } else { Input::Unknown };
                    }
                }
                _ => {}
            }
            inner = outer;
        }
        Input::None
    }

    /// A pipe behind a here-document stands inside of it: `cat <<END | sh`. Returns what is before the pipe.
    fn piped_here_document(&self, pipeline: Visit<'tree>) -> Option<Node<'tree>> {
        let here = self.parent(pipeline).filter(|here| here.node.kind() == "heredoc_redirect")?;
        self.parent(here).map(|statement| statement.node).filter(|node| node.kind() == "redirected_statement")
    }

    fn output_of(&self, statement: Node<'tree>) -> Input {
        let command = match statement.kind() {
            "redirected_statement" => statement.child_by_field_name("body").unwrap_or(statement),
            _ => statement,
        };
        self.commands.get(&command.id()).map_or(Input::Unknown, |place| Input::Command(*place))
    }

    /// Returns the here-document or here-string of a statement, which isn't known where it has expansions.
    fn here_text(&self, statement: Node<'_>) -> Option<Input> {
        let mut cursor = statement.walk();
        let here = statement
            .children(&mut cursor)
            .filter(|child| matches!(child.kind(), "heredoc_redirect" | "herestring_redirect"))
            .last()?;
        let mut cursor = here.walk();
        let children: Vec<Node<'_>> = here.children(&mut cursor).collect();
        if here.kind() == "herestring_redirect" {
            let word = Word::read(children.last().map_or("", |word| self.text(*word)));
            return Some(if word.is_literal { Input::Text(word.text) } else { Input::Unknown });
        }
        let is_quoted = children
            .iter()
            .find(|child| child.kind() == "heredoc_start")
            .is_some_and(|start| self.text(*start).contains(['\'', '"', '\\']));
        let Some(body) = children.iter().find(|child| child.kind() == "heredoc_body") else {
            return Some(Input::Text(String::new()));
        };
        let text = self.text(*body);
        let is_known = is_quoted || !text.contains(['$', '`', '\\']);
        Some(if is_known { Input::Text(text.to_owned()) } else { Input::Unknown })
    }
}

/// Returns what stands behind the redirections of a statement and is an argument of its command.
fn redirection_arguments(statement: Node<'_>) -> Vec<Node<'_>> {
    let mut arguments = Vec::new();
    for redirect in statement.children(&mut statement.walk()) {
        let (field, own) = match redirect.kind() {
            "file_redirect" => ("destination", 1),
            "heredoc_redirect" => ("argument", 0),
            _ => continue,
        };
        arguments.extend(redirect.children_by_field_name(field, &mut redirect.walk()).skip(own));
    }
    arguments
}

/// Returns whether it has arguments behind redirections, and the grammar doesn't say of which command.
fn has_stray_arguments(node: Node<'_>) -> bool {
    if node.kind() != "redirected_statement" {
        return false;
    }
    let body = node.child_by_field_name("body").map_or("", |body| body.kind());
    body != "command" && body != "declaration_command" && !redirection_arguments(node).is_empty()
}

fn has_input_file(statement: Node<'_>) -> bool {
    let mut cursor = statement.walk();
    let mut redirects = statement.children(&mut cursor).filter(|child| child.kind() == "file_redirect");
    redirects.any(|redirect| {
        let mut cursor = redirect.walk();
        redirect.children(&mut cursor).any(|child| child.kind().starts_with('<'))
    })
}
