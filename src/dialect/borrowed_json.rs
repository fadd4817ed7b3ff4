//! A JSON value to look at: strings are borrowed from the frame, objects are short lists. For formats whose frames have
//! too many shapes for structs; what is kept of one becomes [`Json`].
//!
//! Of repeated keys the last one counts, as in [`Json`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::lenient::LooseStr;
use crate::event::Json;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum BorrowedJson<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<BorrowedJson<'a>>),
    Object(Vec<(Cow<'a, str>, BorrowedJson<'a>)>),
}

impl BorrowedJson<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns the elements of a list; none for other values.
    pub(super) fn elements(&self) -> &[Self] {
        if let Self::Array(list) = self { list } else { &[] }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(bool) = self { Some(*bool) } else { None }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.clone().into_owned()),
            Self::Array(list) => list.iter().map(Self::to_json).collect(),
            Self::Object(fields) => {
                Json::Object(fields.iter().map(|(key, value)| (key.clone().into_owned(), value.to_json())).collect())
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for BorrowedJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BorrowedJsonVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for BorrowedJsonVisitor<'a> {
            type Value = BorrowedJson<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(BorrowedJson::Null)
            }
            fn visit_bool<E: Error>(self, bool: bool) -> Result<Self::Value, E> {
                Ok(BorrowedJson::Bool(bool))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(BorrowedJson::Number(number.into()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(BorrowedJson::Number(number.into()))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Number::from_f64(number).map_or(BorrowedJson::Null, BorrowedJson::Number))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(BorrowedJson::String(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(BorrowedJson::String(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(BorrowedJson::Array(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((LooseStr(key), value)) = map.next_entry()? {
                    fields.push((key.unwrap_or_default(), value));
                }
                Ok(BorrowedJson::Object(fields))
            }
        }
        deserializer.deserialize_any(BorrowedJsonVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_says_what_json_says() {
        for text in [
            r#"{"a":[1,-2,2.5,1e300,null,true,"x\ny"],"b":{"c":{}},"d":[],"":""}"#,
            r#"{"k":1,"k":2}"#,
            r#"{"\u006b":18446744073709551615}"#,
            "[]",
            "\"\"",
        ] {
            let tree: BorrowedJson<'_> = serde_json::from_str(text).unwrap();
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(tree.to_json(), json);
            assert_eq!(tree.get("k").map(BorrowedJson::to_json), json.get("k").cloned());
        }
    }

    #[test]
    fn plain_texts_are_borrowed() {
        let tree: BorrowedJson<'_> = serde_json::from_str(r#"{"a":"b"}"#).unwrap();
        assert!(
            matches!(&tree, BorrowedJson::Object(fields) if matches!(fields[..], [(Cow::Borrowed("a"), BorrowedJson::String(Cow::Borrowed("b")))]))
        );
    }

    #[test]
    fn a_deep_nest_is_refused_and_does_no_harm() {
        assert!(serde_json::from_str::<BorrowedJson<'_>>(&"[".repeat(100_000)).is_err());
    }
}
