//! The formats that a session can be exported to, and the wish to export one.

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// For people, and for comparing two versions.
    Markdown,
    /// One document, a turn an object.
    Json,
    /// The log itself.
    Jsonl,
    /// A page with a player.
    Html,
    /// asciicast v3: the session as the screen showed it.
    Cast,
    /// One screen.
    Svg,
}

/// A session to be written to a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportRequest {
    /// None where the name of the file says it, else Markdown.
    pub format: Option<ExportFormat>,
    /// None for a name after the title of the session.
    pub file: Option<String>,
}

impl ExportFormat {
    pub const ALL: [Self; 6] = [Self::Markdown, Self::Json, Self::Jsonl, Self::Html, Self::Cast, Self::Svg];

    /// Returns its name, which is also the end of a file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Html => "html",
            Self::Cast => "cast",
            Self::Svg => "svg",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the format that the end of a file's name says.
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, end) = name.rsplit('/').next()?.rsplit_once('.')?;
        match &*end.to_ascii_lowercase() {
            "markdown" => Some(Self::Markdown),
            "htm" => Some(Self::Html),
            end => Self::parse(end),
        }
    }

    /// Returns what it is, for a person to choose from.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown, to read and to compare",
            Self::Json => "one JSON document, a turn an object",
            Self::Jsonl => "the log itself, which can be replayed",
            Self::Html => "a page with a player, in one file",
            Self::Cast => "a recording of the screen, for asciinema",
            Self::Svg => "a picture of the screen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_format_by_the_end_of_its_name() {
        for format in ExportFormat::ALL {
            assert_eq!(ExportFormat::parse(format.name()), Some(format));
            assert_eq!(ExportFormat::of_file(&format!("a.b/c.{}", format.name())), Some(format));
        }
        assert_eq!(ExportFormat::of_file("A.HTM"), Some(ExportFormat::Html));
        for none in ["", "md", "a.md/b", "a.txt"] {
            assert_eq!(ExportFormat::of_file(none), None, "{none}");
        }
    }
}
