//! The current time: local, UTC or in any zone.

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::args::ToolArgs;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

/// Time is passed in, so that tests can set it.
pub(super) struct ClockTool {
    now: fn() -> Timestamp,
}

impl ClockTool {
    pub(super) const SYSTEM: Self = Self { now: Timestamp::now };
}

impl Tool for ClockTool {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "clock".into(),
            description: "Tells the date and time, in the local time zone and in UTC, and in another zone on request."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "zone": {"type": "string", "description": "An IANA time zone, such as `Europe/Berlin`."}
                }
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Other
    }

    fn describe<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(
            async move { Ok(CallDescription::new(Risk::ReadOnly, parse_zone(args)?.unwrap_or_else(|| "now".into()))) },
        )
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        let now = (self.now)();
        // Zones are read from disk.
        Box::pin(run_blocking(args, ctx, move |args, _| {
            describe_time(now, &TimeZone::system(), parse_zone(args)?.as_deref()).map(ToolResult::ok)
        }))
    }
}

fn parse_zone(args: &Json) -> Result<Option<String>, String> {
    let zone = ToolArgs::new(args)?.optional_string(&["zone", "timezone", "time_zone", "tz"])?;
    Ok(zone.map(|zone| zone.trim().to_owned()).filter(|zone| !zone.is_empty() && !zone.eq_ignore_ascii_case("local")))
}

fn describe_time(now: Timestamp, local: &TimeZone, zone: Option<&str>) -> Result<String, String> {
    let mut lines = Vec::new();
    if let Some(name) = zone {
        let zone = TimeZone::get(name).map_err(|_| {
            format!("the argument `zone`: `{name}` is not a known time zone; try one like Europe/Paris")
        })?;
        lines.push(format!("{name}: {}", format_time(&now.to_zoned(zone))));
    }
    lines.push(if local.is_unknown() {
        "local: the time zone of this machine is unknown".into()
    } else {
        format!("local: {}", format_time(&now.to_zoned(local.clone())))
    });
    lines.push(format!("UTC: {}", format_time(&now.to_zoned(TimeZone::UTC))));
    Ok(lines.join("\n"))
}

fn format_time(time: &Zoned) -> String {
    let name = time.time_zone().iana_name().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{} ({}{name})", time.strftime("%Y-%m-%d %H:%M:%S %:z"), time.strftime("%A"))
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;

    #[test]
    fn the_time_is_told_here_and_elsewhere() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let local = TimeZone::fixed(offset(2));
        assert_eq!(
            describe_time(now, &local, Some("UTC")).unwrap(),
            "UTC: 2026-09-21 14:13:20 +00:00 (Monday, UTC)\n\
             local: 2026-09-21 16:13:20 +02:00 (Monday)\n\
             UTC: 2026-09-21 14:13:20 +00:00 (Monday, UTC)"
        );
        assert!(describe_time(now, &TimeZone::unknown(), None).unwrap().contains("unknown"));
        assert!(describe_time(now, &local, Some("Mars/Olympus")).unwrap_err().contains("`zone`"));
        assert!(describe_time(now, &local, Some("../../etc/passwd")).is_err());
    }
}
