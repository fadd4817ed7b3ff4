//! Field types that accept any value: null and wrong types count as absent, so that one odd field never costs a frame.
//! Strings without escapes are borrowed from the frame.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Elements of a list that are read; a hostile list may have millions.
const MAX_LIST_ITEMS: usize = 4096;

/// A string. A list of parts is the text of its parts, a number its digits.
#[derive(Clone, Debug, Default)]
pub(super) struct LooseStr<'a>(pub(super) Option<Cow<'a, str>>);

/// A string, or a list of parts that are text, reasoning or a refusal: each joined.
#[derive(Clone, Debug, Default)]
pub(super) struct LooseContent<'a> {
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) reasoning: Option<Cow<'a, str>>,
    pub(super) refusal: Option<Cow<'a, str>>,
}

/// Reasoning: a string, a list of parts, or an object that holds one of these.
#[derive(Clone, Debug, Default)]
pub(super) struct LooseReasoning<'a>(pub(super) Option<Cow<'a, str>>);

/// A non-negative integer. A float is truncated, digits in a string are parsed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LooseU64(pub(super) Option<u64>);

/// A finite number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LooseF64(pub(super) Option<f64>);

/// A list; elements that are not objects are left out.
#[derive(Clone, Debug)]
pub(super) struct LooseList<T>(pub(super) Vec<T>);

#[derive(Clone, Debug)]
pub(super) struct LooseObject<T>(pub(super) Option<T>);

/// JSON text: a string as it is, an object serialized.
#[derive(Clone, Debug, Default)]
pub(super) struct LooseJson<'a>(pub(super) Option<Cow<'a, str>>);

impl LooseStr<'_> {
    /// Returns the string unless it is absent or empty.
    pub(super) fn non_empty(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<'a> LooseContent<'a> {
    fn add(&mut self, ContentPart(text, channel): ContentPart<'a>) {
        let place = match channel {
            PartChannel::Text => &mut self.text,
            PartChannel::Reasoning => &mut self.reasoning,
            PartChannel::Refusal => &mut self.refusal,
        };
        match (place, text.0) {
            (Some(known), Some(more)) => known.to_mut().push_str(&more),
            (place, text) => *place = text.or_else(|| place.take()),
        }
    }

    /// Returns the text unless it is absent or empty.
    pub(super) fn non_empty(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.is_empty())
    }
}

impl LooseReasoning<'_> {
    /// Returns the text unless it is absent or empty.
    pub(super) fn non_empty(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<T> Default for LooseList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for LooseObject<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// How all lenient visitors handle types they don't want.
macro_rules! visit_as_default {
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

/// How visitors that want a string handle one.
macro_rules! visit_strings {
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

/// A number instead of a string is its digits.
macro_rules! visit_numbers_as_digits {
    () => {
        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            self.visit_str(&number.to_string())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for LooseStr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseStrVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for LooseStrVisitor<'a> {
            type Value = LooseStr<'a>;
            visit_as_default!(visit_bool(bool), visit_f64(f64));
            skip_map!();
            visit_strings!(text => LooseStr(Some(text)));
            visit_numbers_as_digits!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(ContentPart(text, _)) = seq.next_element()? {
                    whole.push_str(text.0.as_deref().unwrap_or_default());
                }
                Ok(LooseStr(Some(Cow::Owned(whole))))
            }
        }
        deserializer.deserialize_any(LooseStrVisitor(PhantomData))
    }
}

/// The channel of an answer that a part belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PartChannel {
    #[default]
    Text,
    Reasoning,
    Refusal,
}

/// A part of a text: a string, or an object with a `text`. Reasoning parts have many names for it.
#[derive(Default)]
struct ContentPart<'a>(LooseStr<'a>, PartChannel);

impl<'de: 'a, 'a> Deserialize<'de> for ContentPart<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentPartVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for ContentPartVisitor<'a> {
            type Value = ContentPart<'a>;
            visit_as_default!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            skip_seq!();
            visit_strings!(text => ContentPart(LooseStr(Some(text)), PartChannel::Text));
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = ContentPart::default();
                // Counts only in a part that is reasoning.
                let mut content = LooseStr::default();
                while let Some(key) = map.next_key::<LooseStr<'de>>()? {
                    match key.0.as_deref().unwrap_or_default() {
                        "text" => part.0 = map.next_value::<LooseStr<'de>>()?,
                        "content" | "summary" => content = map.next_value::<LooseStr<'de>>()?,
                        "thinking" | "reasoning" | "reasoning_text" | "reasoning_content" => {
                            part = ContentPart(map.next_value::<LooseStr<'de>>()?, PartChannel::Reasoning);
                        }
                        "refusal" => part = ContentPart(map.next_value::<LooseStr<'de>>()?, PartChannel::Refusal),
                        "type" => {
                            let kind = map.next_value::<LooseStr<'de>>()?;
                            let kind = kind.0.as_deref().unwrap_or_default();
                            if ["thinking", "thought", "reasoning"].iter().any(|word| kind.starts_with(word)) {
                                part.1 = PartChannel::Reasoning;
                            }
                        }
                        "thought" => {
                            let is_thought = map.next_value::<LooseBool>()?.0;
                            part.1 = if is_thought { PartChannel::Reasoning } else { part.1 };
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                if part.0.0.is_none() && part.1 == PartChannel::Reasoning {
                    part.0 = content;
                }
                Ok(part)
            }
        }
        deserializer.deserialize_any(ContentPartVisitor(PhantomData))
    }
}

/// Whether a value is `true`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LooseBool(pub(super) bool);

impl<'de> Deserialize<'de> for LooseBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseBoolVisitor;
        impl<'de> Visitor<'de> for LooseBoolVisitor {
            type Value = LooseBool;
            visit_as_default!(visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_seq!();
            skip_map!();
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
                Ok(LooseBool(truth))
            }
        }
        deserializer.deserialize_any(LooseBoolVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LooseContent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseContentVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for LooseContentVisitor<'a> {
            type Value = LooseContent<'a>;
            visit_as_default!(visit_bool(bool), visit_f64(f64));
            visit_strings!(text => LooseContent { text: Some(text), ..LooseContent::default() });
            visit_numbers_as_digits!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut content = LooseContent::default();
                while let Some(part) = seq.next_element()? {
                    content.add(part);
                }
                Ok(content)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut content = LooseContent::default();
                content.add(ContentPart::deserialize(MapAccessDeserializer::new(map))?);
                Ok(content)
            }
        }
        deserializer.deserialize_any(LooseContentVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LooseReasoning<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseReasoningVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for LooseReasoningVisitor<'a> {
            type Value = LooseReasoning<'a>;
            visit_as_default!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            visit_strings!(text => LooseReasoning(Some(text)));
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(thought) = seq.next_element::<LooseReasoning<'_>>()? {
                    whole.push_str(thought.0.as_deref().unwrap_or_default());
                }
                Ok(LooseReasoning(Some(whole.into())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut thought = LooseReasoning::default();
                while let Some(key) = map.next_key::<LooseStr<'de>>()? {
                    let key = key.0.as_deref().unwrap_or_default();
                    if matches!(key, "text" | "content" | "summary" | "thinking" | "reasoning" | "thought") {
                        let said = map.next_value::<LooseReasoning<'de>>()?;
                        thought = if said.non_empty().is_some() { said } else { thought };
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(thought)
            }
        }
        deserializer.deserialize_any(LooseReasoningVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for LooseU64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LooseF64(number) = LooseF64::deserialize(deserializer)?;
        Ok(Self(number.filter(|number| *number >= 0.0).map(|number| number as u64)))
    }
}

impl<'de> Deserialize<'de> for LooseF64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseF64Visitor;
        impl<'de> Visitor<'de> for LooseF64Visitor {
            type Value = LooseF64;
            visit_as_default!(visit_bool(bool));
            skip_seq!();
            skip_map!();
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(LooseF64(Some(number as f64)))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(LooseF64(Some(number as f64)))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(LooseF64(Some(number).filter(|number| number.is_finite())))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(LooseF64(text.parse().ok().filter(|number: &f64| number.is_finite())))
            }
        }
        deserializer.deserialize_any(LooseF64Visitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LooseList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for LooseListVisitor<T> {
            type Value = LooseList<T>;
            visit_as_default!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_map!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < MAX_LIST_ITEMS {
                    let Some(LooseObject(element)) = seq.next_element::<LooseObject<T>>()? else {
                        return Ok(LooseList(list));
                    };
                    list.extend(element);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(LooseList(list))
            }
        }
        deserializer.deserialize_any(LooseListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LooseObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for LooseObjectVisitor<T> {
            type Value = LooseObject<T>;
            visit_as_default!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
            skip_seq!();
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| LooseObject(Some(object)))
            }
        }
        deserializer.deserialize_any(LooseObjectVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LooseJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseJsonVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for LooseJsonVisitor<'a> {
            type Value = LooseJson<'a>;
            visit_as_default!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64));
            skip_seq!();
            visit_strings!(text => LooseJson(Some(text)));
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = serde_json::Value::deserialize(MapAccessDeserializer::new(map))?;
                Ok(LooseJson(Some(Cow::Owned(object.to_string()))))
            }
        }
        deserializer.deserialize_any(LooseJsonVisitor(PhantomData))
    }
}
