//! The screen, for every command that has one.

use anyhow::Context as _;

use crate::app::{self, ChatContext, ResumedSession, SessionPlaces};
use crate::bridge::SessionHandle;
use crate::config::SettingsSource;
use crate::event::Seq;
use crate::headless::output::print_error;
use crate::headless::save_errors::{SaveErrors, exit_code_for};
use crate::runtime::{NameClaim, RemoteModels, Runtime, StartMode, StartedSession};
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
    /// What of an earlier run was restored.
    pub(super) restored: Vec<String>,
    pub(super) remarks: Vec<String>,
    pub(super) save_errors: SaveErrors,
}

/// Opens a session that the person goes on with from another.
fn open_session(runtime: &Runtime, start: &StartMode) -> anyhow::Result<ResumedSession> {
    let StartedSession { handle, mut restored } = runtime.open(start)?;
    let draft = runtime.load_draft(&NameClaim::exclusive(handle.session.clone()), &mut restored);
    Ok(ResumedSession { handle, draft, restored })
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
        restored,
        remarks,
        save_errors,
    } = options;
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
        places: SessionPlaces { paths: runtime.paths.clone(), logs: runtime.saved_sessions(), host },
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
