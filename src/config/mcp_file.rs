//! PURE. Writes a server into the text of a settings file, and takes one out, leaving the rest as it is.
//!
//! Not a general editor: a table is put at the end, and taken out as it stands. What would change anything else is
//! refused.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// A server to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpEntry {
    pub command: Vec<String>,
    pub url: Option<String>,
    pub env: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
}

/// Returns the text with a server at its end.
///
/// # Errors
///
/// Fails if there is one of that name, or the text is no TOML.
pub fn add_mcp_server(text: &str, name: &str, entry: &McpEntry) -> Result<String, String> {
    let before = parse(text)?;
    if server(&before, name).is_some() {
        return Err(format!("there is a server {name} already; `jarvis-tui mcp rm {name}` takes it out"));
    }
    let key = if name.contains('.') { toml_text(name) } else { name.to_owned() };
    let mut added = format!("[mcp.{key}]\n");
    let mut line = |key: &str, value: String| added.extend([key, " = ", &value, "\n"]);
    if !entry.command.is_empty() {
        line("command", toml_list(&entry.command));
    }
    if let Some(url) = &entry.url {
        line("url", toml_text(url));
    }
    for (key, values) in [("env", &entry.env), ("headers", &entry.headers)] {
        if !values.is_empty() {
            let pairs: Vec<String> =
                values.iter().map(|(name, value)| format!("{} = {}", toml_text(name), toml_text(value))).collect();
            line(key, format!("{{ {} }}", pairs.join(", ")));
        }
    }
    let gap = match text {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let after = format!("{text}{gap}{added}");
    // Such as where `mcp` is written in one line, which no table can follow.
    match parse(&after) {
        Ok(table) if server(&table, name).is_some() => Ok(after),
        _ => Err(format!("the file can't be added to as it is; write it there yourself:\n\n{added}")),
    }
}

/// Returns the text without a server.
///
/// # Errors
///
/// Fails if there is none of that name, or it doesn't stand in a table of its own.
pub fn remove_mcp_server(text: &str, name: &str) -> Result<String, String> {
    let mut expected = parse(text)?;
    if server(&expected, name).is_none() {
        let known: Vec<&String> =
            expected.get("mcp").and_then(Value::as_table).into_iter().flat_map(Table::keys).collect();
        let known = known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
        return Err(format!("no server {name} in this file; {known}"));
    }
    let mut after = String::with_capacity(text.len());
    let mut is_inside = false;
    for line in text.split_inclusive('\n') {
        if let Some(path) = header(line) {
            is_inside = path.len() >= 2 && path[0] == "mcp" && path[1] == name;
        }
        if !is_inside {
            after.push_str(line);
        }
    }
    if let Some(servers) = expected.get_mut("mcp").and_then(Value::as_table_mut) {
        servers.remove(name);
        if servers.is_empty() {
            expected.remove("mcp");
        }
    }
    let mut left = parse(&after)?;
    if left.get("mcp").and_then(Value::as_table).is_some_and(Table::is_empty) {
        left.remove("mcp");
    }
    if left != expected {
        return Err(format!("the server {name} is not written as a table [mcp.{name}]; take it out with an editor"));
    }
    Ok(after)
}

fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| format!("the file has an error, so it was not changed: {}", error.message()))
}

fn server<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    table.get("mcp")?.as_table()?.get(name)
}

/// Returns the path of a line such as `[mcp.NAME]`.
fn header(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if !line.starts_with('[') {
        return None;
    }
    // A line of a list reads as no table, and one of a text that does is seen by the comparison.
    let table: Table = line.parse().ok()?;
    let mut path = Vec::new();
    let mut at = &Value::Table(table);
    while let Some((name, inner)) = at.as_table().and_then(|table| table.iter().next()) {
        path.push(name.clone());
        at = inner.as_array().and_then(|items| items.first()).unwrap_or(inner);
    }
    Some(path)
}

fn toml_text(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn toml_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| toml_text(text)).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(words: &[&str]) -> McpEntry {
        McpEntry { command: words.iter().map(|word| (*word).to_owned()).collect(), ..McpEntry::default() }
    }

    #[test]
    fn what_is_added_can_be_taken_out_again() {
        let mine = "# mine\nmodel = \"x\"\n\n[ui]\ntheme = \"dark\" # dark\n";
        let git =
            McpEntry { env: [("A B".to_owned(), "env:\"X\"".to_owned())].into(), ..entry(&["uvx", "it's \"git\""]) };
        let one = add_mcp_server(mine, "git", &git).unwrap();
        assert!(one.starts_with(mine) && one.contains("\n[mcp.git]\n"));
        let read = one.parse::<Table>().unwrap();
        assert_eq!(read["mcp"]["git"]["command"][1].as_str(), Some("it's \"git\""));
        assert_eq!(read["mcp"]["git"]["env"]["A B"].as_str(), Some("env:\"X\""));
        let two = add_mcp_server(&one, "my.fs", &entry(&["fs"])).unwrap();
        assert_eq!(
            add_mcp_server(&two, "git", &git).unwrap_err(),
            "there is a server git already; `jarvis-tui mcp rm git` takes it out"
        );
        let left = remove_mcp_server(&two, "git").unwrap();
        assert!(left.contains("[mcp.\"my.fs\"]") && !left.contains("uvx"));
        assert_eq!(remove_mcp_server(&left, "my.fs").unwrap().trim_end(), mine.trim_end());
        assert!(remove_mcp_server(&left, "git").unwrap_err().ends_with("there are: my.fs"));
    }

    #[test]
    fn tables_below_a_server_go_with_it() {
        let text = "[mcp.a]\ncommand = [\n  \"x\",\n]\n[mcp.a.env]\nK = \"v\"\n[mcp.ab]\ncommand = [\"y\"]\n";
        assert_eq!(remove_mcp_server(text, "a").unwrap(), "[mcp.ab]\ncommand = [\"y\"]\n");
    }

    #[test]
    fn what_stands_otherwise_is_left_alone() {
        for text in
            ["mcp.a.command = [\"x\"]\n", "mcp = { a = { command = [\"x\"] } }\n", "[mcp]\na = { url = \"u\" }\n"]
        {
            assert!(remove_mcp_server(text, "a").unwrap_err().contains("with an editor"), "{text}");
        }
        assert!(add_mcp_server("mcp = {}\n", "a", &entry(&["x"])).unwrap_err().contains("[mcp.a]"));
        assert!(add_mcp_server("x = [\n", "a", &entry(&["x"])).unwrap_err().contains("was not changed"));
    }
}
