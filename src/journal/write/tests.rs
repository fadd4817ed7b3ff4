use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::event::Millis;
use crate::journal::ReadLimits;

fn header() -> LogHeader {
    LogHeader { folder: "/work".into(), ..LogHeader::new("s1".into(), 1_000) }
}

fn line(seq: u64) -> Bytes {
    let at = seq * 10;
    Bytes::from(format!(r#"{{"seq":{seq},"at":{at},"event":{{"type":"text_delta","message":"m","text":"é{seq}"}}}}"#))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_written_is_read_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), &header()).unwrap();
    let lines: Vec<_> = (1..=50).map(line).collect();
    writer.append(&lines[..20]).unwrap();
    writer.append(&lines[20..]).unwrap();
    writer.sync().unwrap();
    let reader = writer.reader();
    assert_eq!(reader.header(), &header());
    assert_eq!(reader.last_saved(), Some(Seq(50)));
    let page = reader.read_all().unwrap();
    assert_eq!(page.entries.into_iter().map(|entry| entry.line).collect::<Vec<_>>(), lines);
}

#[test]
fn logs_and_their_folder_are_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("a/sessions");
    let writer = Writer::create(&sessions, &header()).unwrap();
    let overflow = writer.overflow_path(&"call/1".into());
    private::create_file(&overflow).unwrap();
    assert_eq!((mode(&sessions), mode(writer.path()), mode(&overflow)), (0o700, 0o600, 0o600));
}

#[test]
fn the_second_opener_may_only_read() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::create(dir.path(), &header()).unwrap();
    let error = Writer::open(writer.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("read it with `jarvis-tui replay"), "{error}");
    assert!(Reader::open(writer.path()).is_ok());
    let path = writer.path().to_owned();
    drop(writer);
    assert!(Writer::open(&path).is_ok());
}

#[test]
fn a_session_is_never_begun_over_another() {
    let dir = tempfile::tempdir().unwrap();
    drop(Writer::create(dir.path(), &header()).unwrap());
    assert!(matches!(Writer::create(dir.path(), &header()), Err(OpenError::Io { .. })));
}

/// The guarantee after `kill -9`: wherever the file ends, a prefix is readable and the session continues after it.
#[test]
fn a_log_cut_at_any_byte_is_a_prefix_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), &header()).unwrap();
    let path = writer.path().to_owned();
    let begin = usize::try_from(writer.len().unwrap()).unwrap();
    writer.append(&(1..=6).map(line).collect::<Vec<_>>()).unwrap();
    drop(writer);
    let whole = std::fs::read(&path).unwrap();
    for cut in begin..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let kept = &whole[begin..cut];
        let at_line = kept.is_empty() || kept.ends_with(b"\n");
        let full = kept.split(|byte| *byte == b'\n').count() as u64 - 1;
        let unended = !at_line
            && serde_json::from_slice::<crate::event::Json>(kept.rsplit(|b| *b == b'\n').next().unwrap()).is_ok();
        let last = full + u64::from(unended);

        let page = Reader::open(&path).unwrap().read_all().unwrap();
        let seqs: Vec<_> = page.entries.iter().map(|entry| entry.envelope.seq.0).collect();
        assert_eq!(seqs, (1..=last).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(page.damage.torn.is_some(), !at_line && !unended, "cut at {cut}");

        let (mut writer, end) = Writer::open(&path).unwrap();
        assert_eq!((end.last_seq, end.at, end.torn), (Seq(last), Millis(last * 10), page.damage.torn), "cut at {cut}");
        writer.append(&[line(last + 1), line(last + 2)]).unwrap();
        let reader = writer.reader();
        let page = reader.read_all().unwrap();
        let seqs: Vec<_> = page.entries.iter().map(|entry| entry.envelope.seq.0).collect();
        assert_eq!(seqs, (1..=last + 2).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!((page.damage.unreadable, page.damage.torn), (u64::from(!at_line && !unended), None), "cut at {cut}");
        let mut cursor = reader.cursor_after(Seq(last)).unwrap();
        assert_eq!(reader.read(&mut cursor, ReadLimits::one_page()).unwrap().entries.len(), 2);
    }
}

#[test]
fn a_log_that_was_removed_is_written_anew_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("home/sessions");
    let mut writer = Writer::create(&sessions, &header()).unwrap();
    let reader = writer.reader();
    writer.append(&[line(1), line(2)]).unwrap();
    std::fs::remove_dir_all(dir.path().join("home")).unwrap();
    writer.append(&[line(3)]).unwrap();
    writer.append(&[line(4)]).unwrap();
    assert_eq!((writer.rewrites(), writer.save_error()), (1, None));
    for reader in [reader, Reader::open(writer.path()).unwrap()] {
        let page = reader.read_all().unwrap();
        assert_eq!(page.entries.into_iter().map(|entry| entry.line).collect::<Vec<_>>(), [1, 2, 3, 4].map(line));
    }
    assert_eq!((mode(&sessions), mode(writer.path())), (0o700, 0o600));
    assert!(matches!(Writer::open(writer.path()), Err(OpenError::InUse { .. })));
}

#[test]
fn a_log_that_was_removed_and_has_no_place_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let mut writer = Writer::create(&home, &header()).unwrap();
    writer.append(&[line(1)]).unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::write(&home, "a file where the folder was").unwrap();
    assert!(writer.append(&[line(2)]).is_err());
    assert!(writer.save_error().unwrap().contains("was removed"));
    std::fs::remove_file(&home).unwrap();
    writer.retry().unwrap();
    assert_eq!((writer.save_error(), writer.rewrites()), (None, 1));
    assert_eq!(Reader::open(writer.path()).unwrap().read_all().unwrap().entries.len(), 2);
}
