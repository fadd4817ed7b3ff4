//! PURE. Built-in knowledge about models: context windows and list prices.
//!
//! Settings win over the embedded table. What is unknown stays unknown: nothing is guessed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::de::ValueDeserializer;

use super::{Config, Env};
use crate::engine::spec::Pricing;
use crate::event::Effort;
use crate::text::address::is_loopback;

const MODELS: &str = include_str!("../../assets/models.toml");
/// Tables of [`MODELS`], unread, by lower-case name: few are ever needed.
static UNREAD_RECORDS: LazyLock<BTreeMap<String, &str>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let (name, record) = line.strip_prefix('"')?.split_once("\" = ")?;
        Some((name.to_owned(), record))
    };
    MODELS.lines().filter_map(row).collect()
});

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRecord {
    window: Option<u64>,
    input: Option<f64>,
    output: Option<f64>,
    images: Option<bool>,
    /// Words.
    can: Option<String>,
    /// The names of levels.
    effort: Option<String>,
}

impl ModelRecord {
    /// Finds what is known about a model. A test reads all, so none is lost.
    fn find(model: &str) -> Option<Self> {
        let record = find_by_prefix(&UNREAD_RECORDS, model)?;
        Self::deserialize(ValueDeserializer::parse(record).ok()?).ok()
    }
}

impl Config {
    /// Returns the context window in tokens.
    pub fn window(&self, model: &str) -> Option<u64> {
        find_by_prefix(&self.windows, model).copied().or_else(|| ModelRecord::find(model)?.window)
    }

    /// Returns the context window from the settings.
    pub fn configured_window(&self, model: &str) -> Option<u64> {
        find_by_prefix(&self.windows, model).copied()
    }

    /// Returns whether a model takes images, if that is known.
    pub fn takes_images(&self, model: &str) -> Option<bool> {
        ModelRecord::find(model)?.images
    }

    /// Returns what a model is known for, such as "vision", and the levels of thinking that it takes.
    pub fn abilities(&self, model: &str) -> (Vec<String>, Vec<Effort>) {
        let record = ModelRecord::find(model).unwrap_or_default();
        let words =
            |text: Option<String>| text.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        (words(record.can), words(record.effort).iter().filter_map(|name| Effort::parse(name)).collect())
    }

    /// Returns dollars per million tokens, input and output, at list price.
    pub fn price(&self, model: &str) -> Option<(f64, f64)> {
        find_by_prefix(&self.prices, model).copied().or_else(|| {
            let record = ModelRecord::find(model)?;
            Some((record.input?, record.output?))
        })
    }

    /// Returns the price of a model at an engine: zero for the embedded engine and for Ollama on this machine, unknown
    /// for other local servers, because they may forward requests to paid services.
    pub fn price_at(&self, engine: &str, model: &str, env: Env<'_>) -> Option<(f64, f64)> {
        if let Some(price) = find_by_prefix(&self.prices, model) {
            return Some(*price);
        }
        let engine = self.engines.get(engine)?;
        let local = engine.resolved_base_url(env).is_none_or(|url| is_loopback(&url));
        match (engine.kind.pricing)(model, local) {
            Pricing::Free => Some((0.0, 0.0)),
            Pricing::Listed => self.price(model),
            Pricing::Unknown => None,
        }
    }
}

/// Finds the longest name that is a prefix of the model's full name, or else of its name without the vendor.
fn find_by_prefix<'a, T>(table: &'a BTreeMap<String, T>, model: &str) -> Option<&'a T> {
    let model = model.trim().to_ascii_lowercase();
    let bare = model.rsplit('/').next().unwrap_or(&model);
    let longest = |model: &str| {
        let fits = |name: &str| {
            let rest = model.strip_prefix(&name.to_ascii_lowercase());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', '@']))
        };
        table.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len()).map(|(_, record)| record)
    };
    longest(&model).or_else(|| longest(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_and_prices_come_in_pairs() {
        let table: BTreeMap<String, ModelRecord> = toml::from_str(MODELS).unwrap();
        assert!(table.len() > 20);
        for (name, record) in table {
            assert_eq!(ModelRecord::find(&name).as_ref(), Some(&record));
            let levels = record.effort.as_deref().unwrap_or_default().split_whitespace().map(Effort::parse);
            assert!(levels.clone().all(|level| level.is_some()) && levels.is_sorted(), "{name}");
            assert_eq!(record.input.is_some(), record.output.is_some(), "{name}");
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }

    #[test]
    fn the_longest_name_counts_and_ends_at_a_mark() {
        let config = Config::default();
        for (model, window, price) in [
            ("gpt-4o", Some(128_000), Some((2.5, 10.0))),
            ("gpt-4o-2024-08-06", Some(128_000), Some((2.5, 10.0))),
            ("gpt-4o-2024-05-13", Some(128_000), Some((5.0, 15.0))),
            ("openai/gpt-4o-mini", Some(128_000), Some((0.15, 0.6))),
            ("OpenAI/GPT-4.1-nano", Some(1_047_576), Some((0.1, 0.4))),
            ("gpt-4", Some(8_192), Some((30.0, 60.0))),
            ("gpt-4.5-preview", None, None),
            ("gpt-5.1", None, None),
            ("o3", Some(200_000), Some((2.0, 8.0))),
            ("o3-deep-research", Some(200_000), None),
            ("qwen2.5:7b", Some(32_768), None),
            ("llama3.2:3b", Some(131_072), None),
            ("meta-llama/Llama-3.1-8B-Instruct", Some(131_072), None),
            ("gemma3:1b", Some(32_768), None),
            ("gemma3:12b", Some(131_072), None),
            ("my-model", None, None),
            ("", None, None),
        ] {
            assert_eq!((config.window(model), config.price(model)), (window, price), "{model}");
        }
    }

    #[test]
    fn what_the_person_wrote_counts_first() {
        let mut config = Config::default();
        config.windows.insert("Qwen3".into(), 8_192);
        config.prices.insert("router/gpt-4o".into(), (1.0, 2.0));
        assert_eq!(config.window("qwen3:8b"), Some(8_192));
        assert_eq!(config.price("router/gpt-4o"), Some((1.0, 2.0)));
        assert_eq!(config.price("gpt-4o"), Some((2.5, 10.0)));
        assert_eq!(config.price_at("ollama", "router/gpt-4o", &|_| None), Some((1.0, 2.0)));
    }

    #[test]
    fn only_what_surely_costs_nothing_is_free() {
        let mut config = Config::default();
        let local = |_: &str| None;
        let elsewhere = |_: &str| Some("http://gpu.example:1".to_owned());
        let loopback = |_: &str| Some("http://127.0.0.1:8080/v1".to_owned());
        assert_eq!(config.price_at("offline", "offline", &local), Some((0.0, 0.0)));
        assert_eq!(config.price_at("ollama", "qwen3", &local), Some((0.0, 0.0)));
        assert_eq!(config.price_at("ollama", "gpt-oss:120b-cloud", &local), None);
        assert_eq!(config.price_at("ollama", "qwen3", &elsewhere), None);
        assert_eq!(config.price_at("openai", "gpt-4o", &local), Some((2.5, 10.0)));
        assert_eq!(config.price_at("openai", "gpt-4o", &loopback), None);
        assert_eq!(config.price_at("nobody", "gpt-4o", &local), None);
        config.engines.clear();
        assert_eq!(config.price_at("ollama", "qwen3", &local), None);
    }
}
