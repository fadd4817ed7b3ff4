//! The raw bytes of streams with their arrival times: heard by a tap, kept in a file or in a ring, and read back.
//!
//! A recording is JSONL. Each answer begins with a line that says what was asked (never with a secret: of an address
//! the values of its query and the password are left out, of headers everything) and how it was answered; then one
//! line for each piece of bytes as it came, and one that says how it ended. Whoever listens is slowed by a slow disk
//! rather than given holes.

mod file;
mod line;
mod ring;
mod tap;

pub use file::save;
pub use line::{RECORDING_FORMAT, RECORDING_KIND, RecordLine, WEBSOCKET_CONTENT_TYPE, redact_url};
pub use ring::{ATTACHED_RING_BYTES, RingEntry, RingSlice, TrafficRing};
pub(super) use tap::SideChannelTap;
pub use tap::{LocalTap, TrafficTap};
