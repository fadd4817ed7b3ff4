//! PURE. What a client's name for a model stands for: our agent, whatever model is behind it, or a model alone.
//!
//! Our own tools run only under a name of the agent.

use super::request::OneShotRequest;

/// The name of the agent in lists of models. With a slash and a model behind it, it is the agent on that model.
pub const AGENT_MODEL: &str = "jarvis-tui";
/// Other names of the agent.
const AGENT_ALIASES: [&str; 3] = ["", "default", "jarvis"];

/// A client's name for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedModel<'n> {
    pub is_agent: bool,
    /// Empty for the server's own.
    pub model: &'n str,
}

impl<'n> NamedModel<'n> {
    pub fn parse(name: &'n str) -> Self {
        // Clients of Ollama add the tag.
        let plain = name.strip_suffix(":latest").unwrap_or(name);
        if plain == AGENT_MODEL || AGENT_ALIASES.contains(&plain) {
            return Self { is_agent: true, model: "" };
        }
        let behind = plain.strip_prefix(AGENT_MODEL).and_then(|rest| rest.strip_prefix('/'));
        behind.map_or(Self { is_agent: false, model: name }, |model| Self { is_agent: true, model })
    }
}

impl OneShotRequest {
    /// Gives a bare model no tools where the client sent none. To be called where the client chooses by the model's
    /// name.
    pub(super) fn choose_by_name(&mut self) {
        if !NamedModel::parse(self.model.as_deref().unwrap_or_default()).is_agent {
            self.client_tools.get_or_insert_default();
        }
        // What can't be called can't be required.
        self.sampling.tool_choice_required &= self.client_tools.as_ref().is_none_or(|tools| !tools.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_has_names_of_its_own_and_takes_any_model() {
        for (name, is_agent, model) in [
            ("", true, ""),
            ("default", true, ""),
            ("jarvis-tui", true, ""),
            ("jarvis-tui:latest", true, ""),
            ("jarvis-tui/ollama/qwen3:8b", true, "ollama/qwen3:8b"),
            ("ollama/qwen3:latest", false, "ollama/qwen3:latest"),
            ("jarvis-tui-2", false, "jarvis-tui-2"),
            ("gpt-5", false, "gpt-5"),
        ] {
            assert_eq!(NamedModel::parse(name), NamedModel { is_agent, model }, "{name}");
        }
    }

    #[test]
    fn our_tools_run_for_the_agent_and_where_the_client_sends_no_list() {
        let tools = |model: Option<&str>, sent: Option<usize>| {
            let client_tools = sent.map(|_| Vec::new());
            let mut request =
                OneShotRequest { model: model.map(Into::into), client_tools, ..OneShotRequest::default() };
            request.sampling.tool_choice_required = true;
            request.choose_by_name();
            (request.client_tools.is_none(), request.sampling.tool_choice_required)
        };
        assert_eq!(tools(None, None), (true, true));
        assert_eq!(tools(Some("jarvis-tui"), None), (true, true));
        assert_eq!(tools(Some("jarvis-tui"), Some(0)), (false, false), "an empty list is a list");
        assert_eq!(tools(Some("gpt-5"), None), (false, false));
    }
}
