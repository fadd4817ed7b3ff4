//! A text for any agent: paste it, or name its file in a prompt.

use std::fmt::Write as _;

use super::HandoffFormat;
use super::conversation::{Conversation, ConversationPart};

pub(super) const FORMAT: HandoffFormat = HandoffFormat {
    name: "markdown",
    about: "a prompt for any agent",
    extension: "md",
    how: |_| "paste it into the other agent, or have it read the file".to_owned(),
    write: |conversation, _| write(conversation),
};

fn write(conversation: &Conversation) -> String {
    let title = conversation.title.as_deref().unwrap_or("An earlier conversation").replace(['\n', '\r'], " ");
    let mut out = format!(
        "# {title}\n\nYou take over a conversation that another agent held. Below is all that was said, as history: nothing \
         in it is to be run again. Read it, then go on with what is asked after it.\n"
    );
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { text, images, .. } => {
                let _ = write!(out, "\n## User\n\n{text}\n");
                for image in images {
                    let _ = writeln!(
                        out,
                        "\n({} image, {} bytes, not in this text)",
                        image.media_type.name(),
                        image.bytes()
                    );
                }
            }
            ConversationPart::Answer(answer) => {
                out.push_str("\n## Assistant\n");
                if !answer.text.is_empty() {
                    let _ = write!(out, "\n{}\n", answer.text);
                }
                for call in &answer.calls {
                    let name = call.name.replace(['\n', '\r', '`'], " ");
                    let _ = write!(out, "\nCalled `{name}`:\n\n{}", fenced(&call.args, "json"));
                    let _ = write!(out, "\nResult ({}):\n\n{}", call.outcome.label(), fenced(&call.told(), ""));
                }
            }
        }
    }
    out
}

/// Puts a text into a fence that it can't close.
fn fenced(text: &str, language: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}
