//! The screen, for every command that has one.

use std::sync::Arc;

use anyhow::Context as _;

use super::export;
use crate::app::{self, Attachment, ChatContext, OutsideFacts, OutsideSession, ResumedSession, SessionPlaces};
use crate::bridge::SessionHandle;
use crate::cli::AttachArgs;
use crate::config::key_status::key_statuses;
use crate::config::{SettingsSource, environment};
use crate::event::Seq;
use crate::headless::output::print_error;
use crate::headless::save_errors::{SaveErrors, exit_code_for};
use crate::runtime::{
    AttachedSession, NameClaim, RemoteModels, Runtime, StartMode, StartedSession, UsageError, replay,
};
use crate::text::one_line;

#[derive(Default)]
pub(super) struct ScreenOptions {
    /// The name under which its draft is saved.
    pub(super) draft_claim: Option<NameClaim>,
    pub(super) prompt: Option<String>,
    /// Stands in the composer, before a saved draft.
    pub(super) begun: Option<String>,
    pub(super) settings: Option<SettingsSource>,
    /// Host and port of what answers.
    pub(super) host: Option<String>,
    /// Whether a new session can be started from here.
    pub(super) can_start_session: bool,
    /// Begins with the list of saved sessions.
    pub(super) chooses_session: bool,
    /// The event whose place is shown first; the end if none.
    pub(super) place: Option<Seq>,
    pub(super) models: Option<RemoteModels>,
    /// What the session is attached to, and how.
    pub(super) attached: Option<(AttachArgs, Attachment)>,
    /// What of an earlier run was restored.
    pub(super) restored: Vec<String>,
    pub(super) remarks: Vec<String>,
    pub(super) save_errors: SaveErrors,
}

/// Opens a session that the person goes on with from another.
fn open_session(runtime: &Runtime, start: &StartMode) -> anyhow::Result<ResumedSession> {
    let StartedSession { handle, mut restored } = runtime.open(start)?;
    let draft = runtime.load_draft(&NameClaim::exclusive(handle.session.clone()), &mut restored);
    Ok(ResumedSession { handle, outside: None, draft, restored })
}

/// Opens a session that runs outside; `own` is what the program was started for.
async fn open_outside(
    runtime: Arc<Runtime>,
    wanted: OutsideSession,
    own: Option<AttachArgs>,
) -> anyhow::Result<ResumedSession> {
    match wanted {
        OutsideSession::Attached { line, is_beside } => {
            let args = match &line {
                Some(line) => AttachArgs::parse_line(line).map_err(UsageError)?,
                None => own.ok_or_else(|| UsageError("this session is attached to nothing".to_owned()))?,
            };
            let attached = runtime.attach(&args, false).await?;
            let outside = OutsideFacts {
                attachment: Some(attachment(&attached, &args, line)),
                host: runtime.target_host(&args),
                models: Some(attached.models),
                is_beside,
            };
            let (handle, restored) = (attached.handle, attached.remarks);
            Ok(ResumedSession { handle, outside: Some(outside), draft: None, restored })
        }
        OutsideSession::Played(name) => {
            // A long log takes a while to be looked through.
            let played = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
                let path = runtime.session_path(&name)?;
                let handle = runtime.open_replay(&path, replay::ReplayOptions::default())?;
                let restored = runtime.find_log_damage(&path).into_iter().map(|(_, text)| text).collect();
                Ok((handle, restored))
            });
            let (mut handle, restored) = played.await??;
            // The session itself may be open beside it.
            handle.session = format!("{}-replay", handle.session).as_str().into();
            let outside = Some(OutsideFacts { is_beside: true, ..OutsideFacts::default() });
            Ok(ResumedSession { handle, outside, draft: None, restored })
        }
    }
}

/// Returns the keys that the settings name, in words.
fn key_rows(runtime: &Runtime) -> Vec<(String, String, String)> {
    let statuses = key_statuses(runtime.config(), &environment::variable).into_iter();
    statuses.map(|status| (status.setting, status.source, status.state.name().to_owned())).collect()
}

/// Returns how a session is attached. One that another server keeps, or that is only watched, goes on without us; not so
/// a program that was started here.
pub(super) fn attachment(attached: &AttachedSession, args: &AttachArgs, line: Option<String>) -> Attachment {
    let is_watched = !attached.handle.capabilities.prompt && args.command.is_empty();
    Attachment { line, goes_on: attached.shared || is_watched }
}

/// Shows a session until the person leaves, then shuts down in order.
pub(super) async fn run(runtime: Runtime, live: SessionHandle, options: ScreenOptions) -> anyhow::Result<u8> {
    let ScreenOptions {
        draft_claim: claim,
        prompt,
        begun,
        settings,
        host,
        can_start_session,
        chooses_session,
        place,
        models,
        attached,
        restored,
        remarks,
        save_errors,
    } = options;
    let runtime = Arc::new(runtime);
    let (attach_args, attachment) = attached.unzip();
    let status = live.status.clone();
    let (keymap, about_keys) = runtime.loaded.keymap();
    let mut warnings: Vec<String> = runtime.loaded.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(about_keys);
    let found = settings.as_ref().map(SettingsSource::commands).unwrap_or_default();
    warnings.extend(found.problems);
    warnings.extend(restored);
    let draft = claim.as_ref().and_then(|claim| runtime.load_draft(claim, &mut warnings));
    let draft = begun.map(|begun| format!("{begun} {}", draft.as_deref().unwrap_or_default())).or(draft);
    warnings.extend(remarks);
    let resolver = runtime.engine_resolver();
    let mut context = ChatContext {
        session: live,
        frames: runtime.frames(),
        ui: runtime.config().ui.clone(),
        notify: runtime.config().notify.clone(),
        places: SessionPlaces {
            paths: runtime.paths.clone(),
            logs: runtime.saved_sessions(),
            host,
            attachment,
            attach_targets: runtime.attach_targets(),
            keys: key_rows(&runtime),
            system_prompt: if can_start_session { runtime.own_system_prompt() } else { String::new() },
        },
        limits: runtime.config().limits.spending(),
        keymap,
        settings,
        editor: runtime.config().editor.clone(),
        commands: found.commands,
        warnings,
        prompt,
        draft,
        state: claim.map(|claim| (runtime.paths.session_state_dir(), claim)),
        history: Some(runtime.paths.history_file()),
        #[cfg(feature = "images")]
        folder: runtime.folder.clone(),
        list_models: match models {
            Some(models) => Box::new(move || Box::pin(models.clone().model_choices())),
            None => Box::new(move || Box::pin(resolver.clone().model_choices())),
        },
        open_session: None,
        open_outside: Some({
            let runtime = runtime.clone();
            Box::new(move |wanted| {
                let opened = open_outside(runtime.clone(), wanted, attach_args.clone());
                Box::pin(async { opened.await.map_err(|error| format!("{error:#}")) })
            })
        }),
        export_session: Some({
            let runtime = runtime.clone();
            Box::new(move |session, request, size| {
                Box::pin(export::export_shown(runtime.clone(), session, request, size))
            })
        }),
        saved_sessions: None,
        workspace: runtime.workspace(),
        chooses_session,
        place,
        wanted_model: runtime.config().model.clone().unwrap_or_default(),
    };
    if can_start_session {
        context.saved_sessions = Some(runtime.saved_sessions());
        context.open_session = Some(Box::new(|start| {
            let opened = open_session(&runtime, &start).map_err(|error| format!("{error:#}"));
            Box::pin(async { opened })
        }));
    }
    let code = app::run(context).await;
    runtime.close().await;
    let code = code.context("the terminal")?;
    // A mirror reports on its log itself.
    let unsaved = save_errors.describe().or_else(|| {
        let why = status.borrow().save_error.clone()?;
        Some(format!("this session is not saved: {why}"))
    });
    if let Some(why) = &unsaved {
        print_error(&one_line(why, 400));
    }
    Ok(exit_code_for(code, unsaved.is_some()))
}
