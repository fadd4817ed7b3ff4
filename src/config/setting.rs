//! PURE. The types of settings, and the macro that declares a table of them: one declaration gives the field, its
//! default, how its value is read and shown, and whether it is secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::value::SettingValue;
use super::{AmbiguousWidth, ThemeChoice, units};
use crate::store::status_parts::{StatusPart, StatusParts};
use crate::text::display_url::redact_login;
use crate::text::secrets::CustomShape;

const MASK: &str = "••••••••";

type Read<T> = Box<dyn Fn(&SettingValue) -> Option<T> + Send + Sync>;
type Write<T> = Box<dyn Fn(&T) -> Option<SettingValue> + Send + Sync>;

/// What a value is, for whoever checks settings without this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Boolean,
    /// Between these two.
    Integer(i64, i64),
    Number,
    Text,
    Texts,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A list of such words.
    Choices(Vec<&'static str>),
    /// What only its reader can tell.
    Any,
}

/// What is expected of a value, and how it becomes a `T`.
pub(super) struct SettingType<T> {
    /// Completes "expected …".
    pub expected: Cow<'static, str>,
    pub kind: ValueKind,
    pub shown: Shown,
    pub read: Read<T>,
    /// Returns `None` for what is not set.
    write: Write<T>,
    merge: fn(&mut T, T),
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    /// Without its login.
    Address,
    /// Only where it comes from.
    Secret,
}

/// A setting of the table `S`.
pub(super) struct Field<S> {
    pub key: &'static str,
    pub expected: Cow<'static, str>,
    pub kind: ValueKind,
    pub shown: Shown,
    /// Returns how to assign a value; `None` if it isn't as expected.
    pub read: Read<Assign<S>>,
    pub written: Write<S>,
}

type Assign<S> = Box<dyn FnOnce(&mut S)>;

impl Shown {
    pub(super) fn display(self, value: &SettingValue) -> String {
        match (self, value) {
            (Self::Secret, SettingValue::String(text)) => SettingValue::string(mask(text)).to_toml(),
            (Self::Address, SettingValue::String(text)) => SettingValue::string(redact_login(text)).to_toml(),
            (Self::Whole | Self::Address | Self::Secret, value) => value.to_toml(),
        }
    }
}

impl<S: 'static> Field<S> {
    pub(super) fn new<T: 'static>(
        key: &'static str,
        setting: SettingType<T>,
        place: fn(&S) -> &T,
        place_mut: fn(&mut S) -> &mut T,
    ) -> Self {
        let SettingType { expected, kind, shown, read, write, merge } = setting;
        let read = move |value: &SettingValue| {
            let value = read(value)?;
            Some(Box::new(move |table: &mut S| merge(place_mut(table), value)) as Assign<S>)
        };
        Self {
            key,
            expected,
            kind,
            shown,
            read: Box::new(read),
            written: Box::new(move |table: &S| write(place(table))),
        }
    }
}

/// Formats a table without its secrets, because debug output ends up in logs.
pub(super) fn debug_table<S: 'static>(f: &mut fmt::DebugStruct<'_, '_>, table: &S, fields: &[Field<S>]) {
    for field in fields {
        let value = (field.written)(table).map_or_else(|| "unset".to_owned(), |value| field.shown.display(&value));
        f.field(field.key, &format_args!("{value}"));
    }
}

/// Returns the secrets of a table, as written.
pub(super) fn secrets_of<S: 'static>(table: &S, fields: &[Field<S>]) -> Vec<String> {
    let secret = fields.iter().filter(|field| field.shown == Shown::Secret);
    secret.filter_map(|field| (field.written)(table)?.into_string()).collect()
}

/// Shows where a secret comes from, but never its value.
fn mask(text: &str) -> String {
    match text.strip_prefix("cmd:") {
        Some(_) => format!("cmd:{MASK}"),
        None if text.starts_with("env:") => text.to_owned(),
        None => MASK.to_owned(),
    }
}

impl<T: 'static> SettingType<T> {
    pub(super) fn new(
        expected: impl Into<Cow<'static, str>>,
        read: impl Fn(&SettingValue) -> Option<T> + Send + Sync + 'static,
        write: impl Fn(&T) -> Option<SettingValue> + Send + Sync + 'static,
    ) -> Self {
        Self {
            expected: expected.into(),
            kind: ValueKind::Any,
            shown: Shown::Whole,
            read: Box::new(read),
            write: Box::new(write),
            merge: |place, value| *place = value,
        }
    }

    fn of_kind(self, kind: ValueKind) -> Self {
        Self { kind, ..self }
    }

    /// Expects what only these words describe.
    pub(super) fn expecting(self, expected: &'static str) -> Self {
        Self { expected: expected.into(), ..self }
    }
}

impl SettingType<Vec<String>> {
    /// Accumulates over the layers: no layer can remove a value of another.
    pub(super) fn accumulating(self) -> Self {
        let merge = |place: &mut Vec<String>, values: Vec<String>| {
            for value in values {
                if !place.contains(&value) {
                    place.push(value);
                }
            }
        };
        Self { merge, ..self }
    }
}

/// A value that need not be set.
pub(super) fn optional<T: 'static>(of: SettingType<T>) -> SettingType<Option<T>> {
    let SettingType { expected, kind, shown, read, write, merge: _ } = of;
    let write = move |value: &Option<T>| write(value.as_ref()?);
    SettingType { kind, shown, ..SettingType::new(expected, move |value| read(value).map(Some), write) }
}

pub(super) fn boolean() -> SettingType<bool> {
    SettingType::new(
        "true or false",
        |value| match value {
            SettingValue::Bool(flag) => Some(*flag),
            _ => None,
        },
        |flag| Some(SettingValue::Bool(*flag)),
    )
    .of_kind(ValueKind::Boolean)
}

pub(super) fn whole<T>(range: RangeInclusive<i64>) -> SettingType<T>
where
    T: TryFrom<i64> + TryInto<i64> + Copy + 'static,
{
    let kind = ValueKind::Integer(*range.start(), *range.end());
    SettingType::new(
        format!("a whole number from {} to {}", range.start(), range.end()),
        move |value| match value {
            SettingValue::Int(number) if range.contains(number) => T::try_from(*number).ok(),
            _ => None,
        },
        |number| (*number).try_into().ok().map(SettingValue::Int),
    )
    .of_kind(kind)
}

/// Whether there is such a theme is for whoever sees the files.
pub(super) fn theme_choice() -> SettingType<ThemeChoice> {
    let named = |table: &BTreeMap<String, SettingValue>, ground: &str| match table.get(ground)? {
        // Which of two it is can't depend on a third thing.
        SettingValue::String(name) => {
            ThemeChoice::parse(name).filter(|theme| *theme != ThemeChoice::Auto).map(|_| name.clone())
        }
        _ => None,
    };
    SettingType::new(
        "the name of a theme such as \"auto\", \"dark\" or \"gruvbox-dark\", or { dark = \"NAME\", light = \"NAME\" }",
        move |value| match value {
            SettingValue::String(name) => ThemeChoice::parse(name),
            SettingValue::Table(table) if table.len() == 2 => {
                Some(ThemeChoice::Pair { dark: named(table, "dark")?, light: named(table, "light")? })
            }
            _ => None,
        },
        |theme| Some(theme_value(theme)),
    )
}

/// Returns how a choice of themes is written.
pub(super) fn theme_value(theme: &ThemeChoice) -> SettingValue {
    match theme {
        ThemeChoice::Pair { dark, light } => {
            let names = [("dark", dark), ("light", light)];
            SettingValue::Table(names.map(|(ground, name)| (ground.to_owned(), SettingValue::string(name))).into())
        }
        theme => SettingValue::string(theme.name()),
    }
}

/// Written in US dollars.
pub(super) fn microdollars() -> SettingType<u64> {
    let micros = |dollars: f64| (0.0..=1e9).contains(&dollars).then(|| (dollars * 1e6).round() as u64);
    SettingType::new(
        "US dollars such as 2.5; 0 is no limit",
        move |value| match value {
            SettingValue::Int(whole) => micros(*whole as f64),
            SettingValue::Float(amount) => micros(*amount),
            _ => None,
        },
        |micros| Some(SettingValue::Float(*micros as f64 / 1e6)),
    )
    .of_kind(ValueKind::Number)
}

/// Limits of zero would stop everything at once, so they are errors.
pub(super) fn duration() -> SettingType<Duration> {
    SettingType::new(
        "a duration such as \"90s\" or \"15m\"",
        |value| units::parse_duration(value.as_text()?).filter(|span| !span.is_zero()),
        |span| Some(SettingValue::string(units::format_duration(*span))),
    )
    .of_kind(ValueKind::Text)
}

/// Zero stands for none.
pub(super) fn duration_or_zero() -> SettingType<Duration> {
    SettingType::new(
        "a duration such as \"90m\" or \"8h\", or \"0s\" for none",
        |value| units::parse_duration(value.as_text()?),
        |span| Some(SettingValue::string(units::format_duration(*span))),
    )
    .of_kind(ValueKind::Text)
}

pub(super) fn text(expected: &'static str) -> SettingType<String> {
    SettingType::new(expected, |value| value.as_text().map(str::to_owned), |text| Some(SettingValue::string(text)))
        .of_kind(ValueKind::Text)
}

pub(super) fn address(expected: &'static str) -> SettingType<String> {
    SettingType { shown: Shown::Address, ..text(expected) }
}

/// `what` is what stands there literally, if anything does.
pub(super) fn secret(what: &str) -> SettingType<String> {
    let expected = format!("\"env:NAME\", \"cmd:COMMAND\" or {what}").into();
    SettingType { expected, shown: Shown::Secret, ..text("") }
}

pub(super) fn texts(expected: &'static str) -> SettingType<Vec<String>> {
    SettingType::new(expected, SettingValue::as_texts, |texts| Some(SettingValue::strings(texts)))
        .of_kind(ValueKind::Texts)
}

/// Shapes of keys, each a prefix and a set with a count.
pub(super) fn secret_shapes() -> SettingType<Vec<String>> {
    SettingType::new(
        "a list of prefixes with a set and a count such as [\"acme_[A-Za-z0-9]{24,}\"]",
        |value| {
            let shapes = value.as_texts()?;
            shapes.iter().all(|shape| CustomShape::parse("", shape).is_ok()).then_some(shapes)
        },
        |texts| Some(SettingValue::strings(texts)),
    )
    .of_kind(ValueKind::Texts)
}

/// Some of a list of parts, by their names.
pub(super) fn status_parts() -> SettingType<StatusParts> {
    SettingType::new(
        format!("a list of {}", StatusPart::ALL.map(StatusPart::name).join(", ")),
        |value| match value {
            SettingValue::List(names) => names.iter().map(|name| StatusPart::parse(name.as_text()?)).collect(),
            _ => None,
        },
        |parts: &StatusParts| {
            Some(SettingValue::List(parts.iter().map(|part| SettingValue::string(part.name())).collect()))
        },
    )
    .of_kind(ValueKind::Choices(StatusPart::ALL.map(StatusPart::name).into()))
}

/// One cell, two, or as the surroundings say.
pub(super) fn ambiguous_width() -> SettingType<AmbiguousWidth> {
    SettingType::new(
        "1, 2 or \"auto\"",
        |value| match value {
            SettingValue::Int(1) => Some(AmbiguousWidth::Narrow),
            SettingValue::Int(2) => Some(AmbiguousWidth::Wide),
            SettingValue::String(word) if word == "auto" => Some(AmbiguousWidth::Auto),
            _ => None,
        },
        |width| {
            Some(match width {
                AmbiguousWidth::Narrow => SettingValue::Int(1),
                AmbiguousWidth::Wide => SettingValue::Int(2),
                AmbiguousWidth::Auto => SettingValue::string("auto"),
            })
        },
    )
}

pub(super) fn folders(expected: &'static str) -> SettingType<Vec<PathBuf>> {
    SettingType::new(
        expected,
        |value| Some(value.as_texts()?.into_iter().map(PathBuf::from).collect()),
        |folders: &Vec<PathBuf>| {
            Some(SettingValue::List(
                folders.iter().map(|folder| SettingValue::string(folder.to_string_lossy())).collect(),
            ))
        },
    )
    .of_kind(ValueKind::Texts)
}

/// One of a list, by its name.
pub(super) fn choice<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> SettingType<T> {
    let words: Vec<&str> = all.iter().map(|choice| name(*choice)).collect();
    let names: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    let expected = match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    };
    SettingType::new(
        expected,
        move |value| {
            let text = value.as_text()?;
            all.iter().copied().find(|choice| name(*choice) == text)
        },
        move |choice| Some(SettingValue::string(name(*choice))),
    )
    .of_kind(ValueKind::Choice(words))
}

/// Declares a table of settings: each with its field, its key where that has another name, its default and its type.
/// What follows `with` are maps, whose settings have names chosen by the person.
macro_rules! settings {
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $field:ident $(as $key:literal)?: $type:ty = $default:expr, $setting:expr;)*
        }
        $(with { $($(#[$map_doc:meta])* $map:ident: $map_type:ty,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            $($($(#[$map_doc])* pub $map: $map_type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* $($($map: Default::default(),)*)? }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut table = f.debug_struct(stringify!($name));
                $crate::config::setting::debug_table(&mut table, self, &Self::fields());
                $($(table.field(stringify!($map), &self.$map.keys().collect::<Vec<_>>());)*)?
                table.finish()
            }
        }

        impl $name {
            pub(in crate::config) fn fields() -> Vec<$crate::config::setting::Field<Self>> {
                vec![$($crate::config::setting::Field::new(
                    $crate::config::setting::settings!(@key $field $($key)?),
                    $setting,
                    |table: &Self| &table.$field,
                    |table: &mut Self| &mut table.$field,
                ),)*]
            }
        }
    };
}
pub(super) use settings;

#[cfg(test)]
mod tests {
    #![allow(unreachable_pub, reason = "tables are public")]

    use super::*;

    settings! {
        /// A table.
        pub struct Sample {
            size: u16 = 3, whole(1..=9);
            mode as "kind": &'static str = "a", choice(&["a", "b", "c"], |name| name);
            key: Option<String> = None, optional(secret("the key"));
            url: Option<String> = None, optional(address("an address"));
            names: Vec<String> = vec!["x".to_owned()], texts("names").accumulating();
        }
        with {
            headers: BTreeMap<String, String>,
        }
    }

    fn set(table: &mut Sample, key: &str, text: &str) -> Option<()> {
        let fields = Sample::fields();
        let field = fields.iter().find(|field| field.key == key).unwrap();
        (field.read)(&SettingValue::parse(text).unwrap()).map(|assign| assign(table))
    }

    #[test]
    fn a_declaration_gives_the_default_and_sets_the_field() {
        let mut table = Sample::default();
        assert_eq!((table.size, table.mode, table.key.clone()), (3, "a", None));
        assert_eq!(set(&mut table, "size", "9"), Some(()));
        assert_eq!(set(&mut table, "kind", "\"b\""), Some(()));
        assert_eq!(set(&mut table, "names", "[\"y\", \"x\"]"), Some(()));
        assert_eq!((table.size, table.mode, table.names.clone()), (9, "b", vec!["x".to_owned(), "y".to_owned()]));
        let before = table.clone();
        for (key, text) in [("size", "10"), ("size", "\"1\""), ("kind", "\"d\""), ("key", "\" \""), ("names", "1")] {
            assert_eq!(set(&mut table, key, text), None, "{key} = {text}");
        }
        assert_eq!(table, before, "a wrong value changes nothing");
    }

    #[test]
    fn what_is_expected_follows_from_the_type() {
        let expected: Vec<_> = Sample::fields().into_iter().map(|field| field.expected).collect();
        assert_eq!(
            expected,
            [
                "a whole number from 1 to 9",
                "\"a\", \"b\" or \"c\"",
                "\"env:NAME\", \"cmd:COMMAND\" or the key",
                "an address",
                "names"
            ]
        );
    }

    #[test]
    fn only_where_a_secret_comes_from_is_shown() {
        for (text, shown) in [("sk-123", MASK), ("cmd:echo sk-123", "cmd:••••••••"), ("env:KEY", "env:KEY")]
        {
            assert_eq!(mask(text), shown);
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let mut table = Sample::default();
        set(&mut table, "key", "\"sk-very-secret\"").unwrap();
        set(&mut table, "url", "\"https://me:hunter2@host/v1\"").unwrap();
        table.headers.insert("x-token".into(), "t0ken".into());
        let text = format!("{table:?}");
        assert!(text.contains("size: 3") && text.contains("host/v1") && text.contains("x-token"), "{text}");
        assert!(!text.contains("secret") && !text.contains("hunter2") && !text.contains("t0ken"), "{text}");
        assert_eq!(secrets_of(&table, &Sample::fields()), ["sk-very-secret"]);
    }
}
