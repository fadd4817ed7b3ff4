//! Reads tables out of a SQLite database, with what stands in its write-ahead log: enough to get at rows that another
//! program keeps, without a library of a million lines. No index, no query, no write.
//!
//! The files may be cut or damaged: what can't be read is left out, and nothing is read twice, however pages point at each
//! other.
//!
//! Source: the SQLite file format, sqlite.org/fileformat2.html, sections 1 to 4.

use std::collections::{HashMap, HashSet};

pub(super) const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Bytes of the header of the first page.
const FILE_HEADER_BYTES: usize = 100;
/// A longer row is left out.
const MAX_ROW_BYTES: usize = 64 << 20;
const MAX_ROWS: usize = 5_000_000;
/// Levels of a table's tree.
const MAX_DEPTH: usize = 32;

/// What a column of a row holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SqliteValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob,
}

/// A row, by the names of its columns.
pub(super) type SqliteRow = HashMap<String, SqliteValue>;

pub(super) struct SqliteFile<'a> {
    main: &'a [u8],
    page_bytes: usize,
    /// Bytes of a page without those that an extension keeps.
    usable_bytes: usize,
    /// Pages that are newer in the write-ahead log.
    newer: HashMap<u32, &'a [u8]>,
}

impl<'a> SqliteFile<'a> {
    /// Opens a database; the error says why it can't be read.
    pub(super) fn new(main: &'a [u8], log: Option<&'a [u8]>) -> Result<Self, String> {
        if !main.starts_with(SQLITE_MAGIC) || main.len() < FILE_HEADER_BYTES {
            return Err("it is no SQLite database".to_owned());
        }
        let page_bytes = match u16_at(main, 16).unwrap_or_default() {
            1 => 65_536,
            bytes => usize::from(bytes),
        };
        let usable_bytes = page_bytes.saturating_sub(main.get(20).copied().unwrap_or_default().into());
        if !page_bytes.is_power_of_two() || page_bytes < 512 || usable_bytes < 480 {
            return Err("its page size is impossible".to_owned());
        }
        if u32_at(main, 56) != Some(1) {
            return Err("its texts are not in UTF-8".to_owned());
        }
        let newer = log.and_then(|log| newer_pages(log, page_bytes)).unwrap_or_default();
        Ok(Self { main, page_bytes, usable_bytes, newer })
    }

    /// Returns the rows of a table; none if there is no such table.
    pub(super) fn rows(&self, table: &str) -> Option<Vec<SqliteRow>> {
        let schema = self.values(1);
        let (root, columns) = schema.iter().find_map(|row| match row.as_slice() {
            [
                SqliteValue::Text(kind),
                SqliteValue::Text(name),
                _,
                SqliteValue::Integer(root),
                SqliteValue::Text(sql),
            ] if kind == "table" && name == table => Some((u32::try_from(*root).ok()?, column_names(sql))),
            _ => None,
        })?;
        let rows = self.values(root).into_iter().map(|values| columns.iter().cloned().zip(values).collect());
        Some(rows.collect())
    }

    /// Returns what the rows of the tree hold whose first page this is.
    fn values(&self, root: u32) -> Vec<Vec<SqliteValue>> {
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        self.walk(root, 0, &mut seen, &mut rows);
        rows
    }

    fn walk(&self, number: u32, depth: usize, seen: &mut HashSet<u32>, rows: &mut Vec<Vec<SqliteValue>>) {
        if depth > MAX_DEPTH || rows.len() >= MAX_ROWS || !seen.insert(number) {
            return;
        }
        let Some(page) = self.page(number) else { return };
        let start = if number == 1 { FILE_HEADER_BYTES } else { 0 };
        let Some(kind) = page.get(start).copied() else { return };
        let cells = usize::from(u16_at(page, start + 3).unwrap_or_default());
        let first = start + if kind == 5 { 12 } else { 8 };
        for nth in 0..cells {
            let Some(at) = u16_at(page, first + 2 * nth).map(usize::from) else { return };
            match kind {
                5 => {
                    if let Some(below) = u32_at(page, at) {
                        self.walk(below, depth + 1, seen, rows);
                    }
                }
                13 => rows.extend(self.row(page, at)),
                _ => return,
            }
        }
        if let Some(last) = u32_at(page, start + 8).filter(|_| kind == 5) {
            self.walk(last, depth + 1, seen, rows);
        }
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        if let Some(page) = self.newer.get(&number) {
            return Some(page);
        }
        let start = usize::try_from(number).ok()?.checked_sub(1)?.checked_mul(self.page_bytes)?;
        self.main.get(start..start.checked_add(self.page_bytes)?)
    }

    /// Returns the values of the row in a cell of a leaf.
    fn row(&self, page: &[u8], at: usize) -> Option<Vec<SqliteValue>> {
        let (length, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_ROW_BYTES)?;
        let usable = self.usable_bytes;
        let most = usable - 35;
        if length <= most {
            return record(page.get(at..at.checked_add(length)?)?);
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let wished = least + (length - least) % (usable - 4);
        let local = if wished <= most { wished } else { least };
        let mut bytes = page.get(at..at + local)?.to_vec();
        let mut next = u32_at(page, at + local)?;
        // Each page brings something, so a chain of pages ends.
        while bytes.len() < length {
            let page = self.page(next).filter(|_| next != 0)?;
            let more = (length - bytes.len()).min(usable - 4);
            bytes.extend_from_slice(page.get(4..4 + more)?);
            next = u32_at(page, 0)?;
        }
        record(&bytes)
    }
}

/// Returns the pages that are newer in a write-ahead log: those before its last commit.
fn newer_pages(log: &[u8], page_bytes: usize) -> Option<HashMap<u32, &[u8]>> {
    let magic = u32_at(log, 0)?;
    let is_big_endian = match magic {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    if usize::try_from(u32_at(log, 8)?).ok()? != page_bytes {
        return None;
    }
    let salts = log.get(16..24)?;
    let mut sums = checksum((0, 0), log.get(..24)?, is_big_endian);
    if sums != (u32_at(log, 24)?, u32_at(log, 28)?) {
        return None;
    }
    let (mut pages, mut uncommitted) = (HashMap::new(), Vec::new());
    for frame in log.get(32..)?.chunks_exact(24 + page_bytes) {
        let (head, page) = frame.split_at(24);
        sums = checksum(sums, head.get(..8)?, is_big_endian);
        sums = checksum(sums, page, is_big_endian);
        // What follows is of an older log.
        if head.get(8..16)? != salts || sums != (u32_at(head, 16)?, u32_at(head, 20)?) {
            break;
        }
        uncommitted.push((u32_at(head, 0)?, page));
        if u32_at(head, 4)? != 0 {
            pages.extend(uncommitted.drain(..));
        }
    }
    Some(pages)
}

fn checksum((mut one, mut two): (u32, u32), bytes: &[u8], is_big_endian: bool) -> (u32, u32) {
    let read = |word: &[u8]| {
        let word = <[u8; 4]>::try_from(word).unwrap_or_default();
        if is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    for pair in bytes.chunks_exact(8) {
        let (first, second) = pair.split_at(4);
        one = one.wrapping_add(read(first)).wrapping_add(two);
        two = two.wrapping_add(read(second)).wrapping_add(one);
    }
    (one, two)
}

fn record(bytes: &[u8]) -> Option<Vec<SqliteValue>> {
    let (head_length, mut at) = varint(bytes, 0)?;
    let head_length = usize::try_from(head_length).ok().filter(|length| *length <= bytes.len())?;
    let (mut values, mut place) = (Vec::new(), head_length);
    while at < head_length {
        let (kind, next) = varint(bytes, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 | 10 | 11 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let content = bytes.get(place..place.checked_add(length)?)?;
        place += length;
        values.push(match kind {
            8 => SqliteValue::Integer(0),
            9 => SqliteValue::Integer(1),
            1..=6 => SqliteValue::Integer(integer(content)),
            7 => SqliteValue::Real(f64::from_be_bytes(content.try_into().ok()?)),
            0 | 10 | 11 => SqliteValue::Null,
            _ if kind % 2 == 1 => SqliteValue::Text(String::from_utf8_lossy(content).into_owned()),
            _ => SqliteValue::Blob,
        });
    }
    Some(values)
}

/// Reads an integer of up to eight bytes with its sign.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| (number << 8) | i64::from(*byte))
}

/// Reads a number of one to nine bytes; returns it and what follows it.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for nth in 0..9 {
        let byte = u64::from(*bytes.get(at.checked_add(nth)?)?);
        if nth == 8 {
            return Some(((number << 8) | byte, at + 9));
        }
        number = (number << 7) | (byte & 0x7f);
        if byte < 0x80 {
            return Some((number, at + nth + 1));
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Returns the names of the columns that a statement creates.
fn column_names(sql: &str) -> Vec<String> {
    let inside = sql.split_once('(').map_or("", |(_, rest)| rest);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in inside.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    let name = |part: &String| {
        let word = part.split_whitespace().next()?;
        let is_rule = ["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK"];
        let is_rule = is_rule.iter().any(|rule| word.eq_ignore_ascii_case(rule));
        (!is_rule).then(|| word.trim_matches(['`', '"', '[', ']', '\'']).to_owned())
    };
    parts.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_the_statement_that_made_them() {
        let sql = "CREATE TABLE `part` (\n `id` text PRIMARY KEY,\n n integer DEFAULT (1, 2), \"data\" text NOT NULL,\
                   CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `x`(`id`))";
        assert_eq!(column_names(sql), ["id", "n", "data"]);
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        assert_eq!(varint(&[0x81, 0x00], 0), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9], 0), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0x80], 0), None);
        assert_eq!((integer(&[0xff]), integer(&[0x00, 0xff]), integer(&[])), (-1, 255, 0));
    }

    #[test]
    fn what_is_no_database_is_refused() {
        assert!(SqliteFile::new(b"SQLite format 3\0", None).is_err());
        let mut page = [SQLITE_MAGIC, &[0; 496]].concat();
        for (high, low) in [(0, 0), (0, 7), (0x80, 0)] {
            (page[16], page[17]) = (high, low);
            assert!(SqliteFile::new(&page, None).is_err());
        }
    }
}
