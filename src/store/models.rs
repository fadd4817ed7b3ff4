//! The models that the picker offers, and which of them a query keeps.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// Written `engine/model`.
    pub name: String,
    pub remark: String,
}

/// Returns the models whose name or remark has every word of the query, whatever the case.
pub fn matching_models<'a>(models: &'a [ModelChoice], query: &str) -> Vec<&'a ModelChoice> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |model: &&ModelChoice| {
        let text = format!("{} {}", model.name, model.remark).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    models.iter().filter(fits).collect()
}
