//! PURE. What a terminal is sent to call its person, and to say in its title and its taskbar what goes on.
//!
//! Formats: `OSC 0`/`OSC 2` of xterm for titles; `OSC 9` of iTerm2 and `OSC 777;notify` of rxvt-unicode; `OSC 99` of
//! kitty's desktop notifications; `OSC 9;4` of ConEmu for progress. tmux passes what it doesn't know on as
//! `DCS tmux;`, where `allow-passthrough` is set, and drops it otherwise.
//!
//! Not here: what is worth a call (`store/notification.rs`). Invariant: texts come cleaned, so none can end a sequence.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::clipboard::TerminalEnv;
use crate::config::notify::{NotifyChannel, NotifyCondition, NotifyConfig};
use crate::store::Store;
use crate::store::notification::{ActivityState, Notification, NotificationKind, NotifyWish};
use crate::store::transcript::ItemId;
use crate::text::one_line;

const PROGRAM_NAME: &str = "jarvis-tui";
/// Where a terminal doesn't tell whether it is looked at: who pressed no key for this long looks elsewhere.
const ASSUMED_AWAY_AFTER: Duration = Duration::from_secs(10);
const BELL: &str = "\x07";
/// Takes progress out of a taskbar.
pub(super) const PROGRESS_OFF_SEQUENCE: &str = "\x1b]9;4;0;0\x07";

/// What the terminal shows beside the screen.
pub(super) struct Notifier {
    config: NotifyConfig,
    env: TerminalEnv,
    /// The person wants no calls in this run.
    is_silenced: bool,
    /// The terminal said whether it is looked at.
    pub(super) focused: Option<bool>,
    last_input: Instant,
    shown_title: Option<TitleKey>,
    shown_progress: ActivityState,
}

/// What a title is made of; cheap to compare.
type TitleKey = (ActivityState, bool, Option<(ItemId, u32)>);

impl Notifier {
    pub(super) fn new(config: NotifyConfig, env: TerminalEnv, now: Instant) -> Self {
        let shown_progress = ActivityState::Idle;
        Self { config, env, is_silenced: false, focused: None, last_input: now, shown_title: None, shown_progress }
    }

    pub(super) fn on_input(&mut self, now: Instant) {
        self.last_input = now;
    }

    /// The terminal forgot what it was sent.
    pub(super) fn forget(&mut self) {
        (self.shown_title, self.shown_progress) = (None, ActivityState::Idle);
    }

    /// Another session is shown: the title is about that one.
    pub(super) fn forget_title(&mut self) {
        self.shown_title = None;
    }

    fn is_away(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.last_input);
        self.focused.map_or(idle >= ASSUMED_AWAY_AFTER, |focused| !focused)
    }

    /// Returns whether the person wants to be called for this, now.
    pub(super) fn is_wanted(&self, kind: NotificationKind, now: Instant) -> bool {
        let chosen = match kind {
            NotificationKind::Approval => self.config.approval,
            NotificationKind::TurnEnd => self.config.turn,
            NotificationKind::Error => self.config.error,
        };
        chosen && !self.is_silenced && (self.config.when == NotifyCondition::Always || self.is_away(now))
    }

    /// Does what the person wants from now on, and says what holds.
    pub(super) fn apply(&mut self, wish: NotifyWish) -> String {
        match wish {
            NotifyWish::Test => {}
            NotifyWish::Off => self.is_silenced = true,
            NotifyWish::Unfocused => (self.is_silenced, self.config.when) = (false, NotifyCondition::Unfocused),
            NotifyWish::Always => (self.is_silenced, self.config.when) = (false, NotifyCondition::Always),
        }
        if self.is_silenced && wish != NotifyWish::Test {
            return "nothing calls you until the program ends; /notify unfocused changes that".to_owned();
        }
        let way = match self.config.via {
            NotifyChannel::Auto => self.known_channel().map_or("bell", NotifyChannel::name),
            via => via.name(),
        };
        let program = if self.command().is_some() { " and your command" } else { "" };
        let when = match self.config.when {
            _ if self.is_silenced => "never until the program ends",
            NotifyCondition::Unfocused => "while you look elsewhere",
            NotifyCondition::Always => "always",
        };
        let sent = if wish == NotifyWish::Test { "called" } else { "you are called" };
        format!("{sent} by {way}{program}; {when}; [notify] in config.toml keeps such things")
    }

    /// Returns the program that is told as well.
    pub(super) fn command(&self) -> Option<&[String]> {
        Some(self.config.command.as_slice()).filter(|command| !command.is_empty())
    }

    /// Returns what makes the terminal call.
    pub(super) fn call_sequence(&self, told: &Notification) -> String {
        let text = one_line(&told.text, usize::from(u8::MAX));
        match self.config.via {
            NotifyChannel::Off => String::new(),
            NotifyChannel::Bell => BELL.into(),
            NotifyChannel::Osc9 => self.to_terminal(osc9(&text)),
            NotifyChannel::Osc777 => self.to_terminal(osc777(&text)),
            NotifyChannel::Osc99 => self.to_terminal(osc99(&text)),
            NotifyChannel::Auto => {
                let known = match self.known_channel() {
                    Some(NotifyChannel::Osc9) => osc9(&text),
                    Some(NotifyChannel::Osc777) => osc777(&text),
                    Some(NotifyChannel::Osc99) => osc99(&text),
                    _ => return BELL.into(),
                };
                // A multiplexer may drop it, and has its own way of passing on a bell.
                let bell = if self.is_multiplexed() { BELL } else { "" };
                format!("{bell}{}", self.to_terminal(known))
            }
        }
    }

    fn is_multiplexed(&self) -> bool {
        self.env.tmux || self.env.screen
    }

    /// Returns what the terminal is known to understand.
    fn known_channel(&self) -> Option<NotifyChannel> {
        let TerminalEnv { term, program, outer, .. } = &self.env;
        let is = |name: &str| program == name || outer == name;
        if term.contains("kitty") || is("kitty") {
            Some(NotifyChannel::Osc99)
        } else if is("iTerm.app") || is("iTerm2") || is("WezTerm") || is("ghostty") || term.contains("ghostty") {
            Some(NotifyChannel::Osc9)
        } else if term.starts_with("foot") || term.starts_with("rxvt-unicode") {
            Some(NotifyChannel::Osc777)
        } else {
            None
        }
    }

    /// Wraps a sequence for a multiplexer to pass on.
    fn to_terminal(&self, sequence: String) -> String {
        if self.env.tmux {
            format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
        } else if self.env.screen {
            format!("\x1bP{sequence}\x1b\\")
        } else {
            sequence
        }
    }

    /// Returns what brings title and taskbar up to date, or nothing.
    pub(super) fn refresh(&mut self, store: &Store, now: Instant) -> String {
        let state = store.activity_state();
        let mut out = String::new();
        if self.config.title && !self.env.is_dumb() {
            let named_by = store.title_item().map(|item| (item.id, item.rev));
            let key = (state, store.session.opened.is_some(), named_by);
            if self.shown_title != Some(key) {
                self.shown_title = Some(key);
                out = format!("\x1b]2;{}\x07", window_title(store, state));
            }
        }
        let progress = if self.is_away(now) { state } else { ActivityState::Idle };
        if self.config.progress && self.shows_progress() && progress != self.shown_progress {
            self.shown_progress = progress;
            out.push_str(match progress {
                ActivityState::Idle => PROGRESS_OFF_SEQUENCE,
                ActivityState::Working => "\x1b]9;4;3;0\x07",
                ActivityState::AwaitingApproval => "\x1b]9;4;4;100\x07",
            });
        }
        out
    }

    /// Returns whether a taskbar shows progress now.
    pub(super) fn is_progress_shown(&self) -> bool {
        self.shown_progress != ActivityState::Idle
    }

    /// Elsewhere it would be taken for a notification.
    fn shows_progress(&self) -> bool {
        let TerminalEnv { term, program, outer, .. } = &self.env;
        !self.is_multiplexed()
            && (program == "ghostty"
                || term.contains("ghostty")
                || matches!(outer.as_str(), "Windows Terminal" | "ConEmu"))
    }
}

/// `? Mend the parser · jarvis-tui`
fn window_title(store: &Store, state: ActivityState) -> String {
    let mark = match state {
        ActivityState::Idle => "",
        ActivityState::Working => "● ",
        ActivityState::AwaitingApproval => "? ",
    };
    let folder = || {
        let folder = store.session.opened.as_ref().map(|opened| opened.folder.as_str()).unwrap_or_default();
        let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Some(one_line(name, 60)).filter(|name| !name.is_empty())
    };
    match store.title().or_else(folder) {
        Some(title) => format!("{mark}{title} · {PROGRAM_NAME}"),
        None => format!("{mark}{PROGRAM_NAME}"),
    }
}

fn osc9(text: &str) -> String {
    format!("\x1b]9;{PROGRAM_NAME}: {text}\x07")
}

/// Fields end at a semicolon.
fn osc777(text: &str) -> String {
    format!("\x1b]777;notify;{PROGRAM_NAME};{}\x07", text.replace(';', ","))
}

/// In base64, so that it may hold any letter. Not shown where the terminal itself sees that it is looked at.
fn osc99(text: &str) -> String {
    let [title, body] = [PROGRAM_NAME, text].map(|text| STANDARD.encode(text));
    format!("\x1b]99;i={PROGRAM_NAME}:d=0:e=1:p=title;{title}\x07\x1b]99;i={PROGRAM_NAME}:d=1:e=1:p=body;{body}\x07")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Envelope, Millis, Seq};
    use crate::store::msg::Msg;
    use crate::testkit::events::{opened, turn_started, user_message};

    fn notifier(via: NotifyChannel, env: TerminalEnv) -> Notifier {
        Notifier::new(NotifyConfig { via, ..NotifyConfig::default() }, env, Instant::now())
    }

    fn env(term: &str, program: &str) -> TerminalEnv {
        TerminalEnv { term: term.into(), program: program.into(), ..TerminalEnv::default() }
    }

    fn done() -> Notification {
        Notification { kind: NotificationKind::TurnEnd, text: "Done: a;b".into() }
    }

    #[test]
    fn only_who_looks_elsewhere_is_called() {
        let mut notifier = notifier(NotifyChannel::Auto, env("xterm", ""));
        let now = notifier.last_input;
        let later = now + ASSUMED_AWAY_AFTER;
        let wanted = |notifier: &Notifier, at| notifier.is_wanted(NotificationKind::Approval, at);
        assert!(!wanted(&notifier, now) && wanted(&notifier, later), "a terminal that tells nothing");
        notifier.on_input(later);
        assert!(!wanted(&notifier, later));
        notifier.focused = Some(false);
        assert!(wanted(&notifier, later));
        notifier.focused = Some(true);
        assert!(!wanted(&notifier, later + ASSUMED_AWAY_AFTER));
        notifier.config.when = NotifyCondition::Always;
        assert!(wanted(&notifier, later));
        notifier.config.approval = false;
        assert!(!wanted(&notifier, later));
    }

    #[test]
    fn what_the_person_wants_of_calls_holds_for_this_run() {
        let mut notifier = notifier(NotifyChannel::Auto, env("foot", ""));
        let now = notifier.last_input;
        let wanted = |notifier: &Notifier| notifier.is_wanted(NotificationKind::Approval, now);
        assert_eq!(
            notifier.apply(NotifyWish::Test),
            "called by osc777; while you look elsewhere; [notify] in config.toml keeps such things"
        );
        assert!(!wanted(&notifier));
        assert!(notifier.apply(NotifyWish::Always).starts_with("you are called by osc777; always;"));
        assert!(wanted(&notifier));
        assert!(notifier.apply(NotifyWish::Off).starts_with("nothing calls you"));
        assert!(!wanted(&notifier));
        notifier.apply(NotifyWish::Unfocused);
        notifier.focused = Some(false);
        assert!(wanted(&notifier));
    }

    #[test]
    fn each_terminal_is_called_in_its_own_way() {
        let sent = |term, program| notifier(NotifyChannel::Auto, env(term, program)).call_sequence(&done());
        assert_eq!(sent("xterm-256color", ""), "\x07");
        assert_eq!(sent("xterm-256color", "iTerm.app"), "\x1b]9;jarvis-tui: Done: a;b\x07");
        assert_eq!(sent("foot", ""), "\x1b]777;notify;jarvis-tui;Done: a,b\x07");
        let kitty = sent("xterm-kitty", "");
        assert!(
            kitty.contains(&STANDARD.encode("Done: a;b")) && kitty.starts_with("\x1b]99;i=jarvis-tui:d=0"),
            "{kitty}"
        );
        assert_eq!(notifier(NotifyChannel::Off, env("foot", "")).call_sequence(&done()), "");
        assert_eq!(notifier(NotifyChannel::Bell, env("foot", "")).call_sequence(&done()), "\x07");
    }

    #[test]
    fn tmux_gets_a_bell_and_what_it_may_pass_on() {
        let tmux = TerminalEnv { tmux: true, outer: "iTerm2".into(), ..env("tmux-256color", "tmux") };
        let sent = notifier(NotifyChannel::Auto, tmux.clone()).call_sequence(&done());
        assert_eq!(sent, "\x07\x1bPtmux;\x1b\x1b]9;jarvis-tui: Done: a;b\x07\x1b\\");
        let unknown = TerminalEnv { outer: String::new(), ..tmux };
        assert_eq!(notifier(NotifyChannel::Auto, unknown).call_sequence(&done()), "\x07");
    }

    #[test]
    fn title_and_taskbar_follow_the_turn_and_are_sent_once() {
        let mut notifier = notifier(NotifyChannel::Auto, env("xterm-ghostty", "ghostty"));
        notifier.focused = Some(false);
        let now = Instant::now();
        let mut store = Store::default();
        let fold = |store: &mut Store, event| {
            let seq = store.last_seq().next();
            store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut Vec::new());
        };
        assert_eq!(notifier.refresh(&store, now), "\x1b]2;jarvis-tui\x07");
        fold(&mut store, opened());
        notifier.refresh(&store, now);
        fold(&mut store, turn_started("t1"));
        fold(&mut store, user_message("m1", "Mend it\x07"));
        assert_eq!(notifier.refresh(&store, now), "\x1b]2;● Mend it · jarvis-tui\x07\x1b]9;4;3;0\x07");
        assert_eq!(notifier.refresh(&store, now), "");
        notifier.focused = Some(true);
        assert_eq!(notifier.refresh(&store, now), PROGRESS_OFF_SEQUENCE);
        assert!(!notifier.is_progress_shown());
        let mut quiet = Notifier::new(
            NotifyConfig { title: false, progress: false, ..NotifyConfig::default() },
            env("xterm-ghostty", "ghostty"),
            now,
        );
        quiet.focused = Some(false);
        assert_eq!(quiet.refresh(&store, now), "");
        assert_eq!(store.last_seq(), Seq(3));
    }
}
