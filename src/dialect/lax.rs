//! Field types that accept whatever a server puts there: null is absent, a wrong type is absent, and no frame dies of
//! one odd field. Strings are borrowed from the frame where they hold no escapes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Elements of a list that are read; a hostile list may have millions.
const LONGEST: usize = 4096;

/// A text. A list of parts is the text of its parts, a number its digits.
#[derive(Clone, Debug, Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// A text, or a list of parts that are text, reasoning or a refusal: each joined.
#[derive(Clone, Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) thought: Option<Cow<'a, str>>,
    pub(super) refusal: Option<Cow<'a, str>>,
}

/// What was thought: a text, a list of parts, or an object that holds one of these.
#[derive(Clone, Debug, Default)]
pub(super) struct Thought<'a>(pub(super) Option<Cow<'a, str>>);

/// A whole number that is not negative. A float is cut, digits in a string are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Num(pub(super) Option<u64>);

/// A finite number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Real(pub(super) Option<f64>);

/// A list; elements that are not objects are left out.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Obj<T>(pub(super) Option<T>);

/// JSON text: a string as it is, an object written out.
#[derive(Clone, Debug, Default)]
pub(super) struct Args<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    /// Returns the text unless it is absent or empty.
    pub(super) fn some(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<'a> Content<'a> {
    fn add(&mut self, Part(text, voice): Part<'a>) {
        let place = match voice {
            Voice::Text => &mut self.text,
            Voice::Thought => &mut self.thought,
            Voice::Refusal => &mut self.refusal,
        };
        match (place, text.0) {
            (Some(known), Some(more)) => known.to_mut().push_str(&more),
            (place, text) => *place = text.or_else(|| place.take()),
        }
    }

    /// Returns the text unless it is absent or empty.
    pub(super) fn some(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.is_empty())
    }
}

impl Thought<'_> {
    /// Returns the text unless it is absent or empty.
    pub(super) fn some(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Obj<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// What all lax visitors do with types they don't want.
macro_rules! absent {
    ($($method:ident($type:ty)),*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }
    };
}

macro_rules! skip_seq {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

macro_rules! skip_map {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// What visitors that want a text do with one.
macro_rules! text {
    ($text:ident => $value:expr) => {
        fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
            let $text = Cow::Borrowed(text);
            Ok($value)
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let $text = Cow::Owned(text.to_owned());
            Ok($value)
        }
    };
}

/// A number in place of a text is its digits.
macro_rules! digits {
    () => {
        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            self.visit_str(&number.to_string())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Text<'a>;
            absent!(visit_bool(bool), visit_f64(f64));
            skip_map!();
            text!(text => Text(Some(text)));
            digits!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(Part(text, _)) = seq.next_element()? {
                    whole.push_str(text.0.as_deref().unwrap_or_default());
                }
                Ok(Text(Some(Cow::Owned(whole))))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

/// Which of the voices of an answer a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Voice {
    #[default]
    Text,
    Thought,
    Refusal,
}

/// A part of a text: a string, or an object with a `text`. Parts that are reasoning have many names for it.
#[derive(Default)]
struct Part<'a>(Text<'a>, Voice);

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Part<'a>;
            absent!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            skip_seq!();
            text!(text => Part(Text(Some(text)), Voice::Text));
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                // Counts only in a part that says that it is reasoning.
                let mut content = Text::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match key.0.as_deref().unwrap_or_default() {
                        "text" => part.0 = map.next_value::<Text<'de>>()?,
                        "content" | "summary" => content = map.next_value::<Text<'de>>()?,
                        "thinking" | "reasoning" | "reasoning_text" | "reasoning_content" => {
                            part = Part(map.next_value::<Text<'de>>()?, Voice::Thought);
                        }
                        "refusal" => part = Part(map.next_value::<Text<'de>>()?, Voice::Refusal),
                        "type" => {
                            let kind = map.next_value::<Text<'de>>()?;
                            let kind = kind.0.as_deref().unwrap_or_default();
                            if ["thinking", "thought", "reasoning"].iter().any(|word| kind.starts_with(word)) {
                                part.1 = Voice::Thought;
                            }
                        }
                        "thought" => {
                            let is_thought = map.next_value::<Truth>()?.0;
                            part.1 = if is_thought { Voice::Thought } else { part.1 };
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                if part.0.0.is_none() && part.1 == Voice::Thought {
                    part.0 = content;
                }
                Ok(part)
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

/// Whether a value is `true`.
#[derive(Default)]
struct Truth(bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Truth;
            absent!(visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_seq!();
            skip_map!();
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
                Ok(Truth(truth))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Content<'a>;
            absent!(visit_bool(bool), visit_f64(f64));
            text!(text => Content { text: Some(text), ..Content::default() });
            digits!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                while let Some(part) = seq.next_element()? {
                    content.add(part);
                }
                Ok(content)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                content.add(Part::deserialize(MapAccessDeserializer::new(map))?);
                Ok(content)
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Thought<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Thought<'a>;
            absent!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            text!(text => Thought(Some(text)));
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(thought) = seq.next_element::<Thought<'_>>()? {
                    whole.push_str(thought.0.as_deref().unwrap_or_default());
                }
                Ok(Thought(Some(whole.into())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut thought = Thought::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let key = key.0.as_deref().unwrap_or_default();
                    if matches!(key, "text" | "content" | "summary" | "thinking" | "reasoning" | "thought") {
                        let said = map.next_value::<Thought<'de>>()?;
                        thought = if said.some().is_some() { said } else { thought };
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(thought)
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Real(number) = Real::deserialize(deserializer)?;
        Ok(Self(number.filter(|number| *number >= 0.0).map(|number| number as u64)))
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Real;
            absent!(visit_bool(bool));
            skip_seq!();
            skip_map!();
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Real(Some(number as f64)))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Real(Some(number as f64)))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Real(Some(number).filter(|number| number.is_finite())))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Real(text.parse().ok().filter(|number: &f64| number.is_finite())))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = List<T>;
            absent!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_map!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < LONGEST {
                    let Some(Obj(element)) = seq.next_element::<Obj<T>>()? else { return Ok(List(list)) };
                    list.extend(element);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Obj<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Obj<T>;
            absent!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_seq!();
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Obj(Some(object)))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Args<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Args<'a>;
            absent!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            skip_seq!();
            text!(text => Args(Some(text)));
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = serde_json::Value::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Args(Some(Cow::Owned(object.to_string()))))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}
