//! Images with a prompt: sent with every later request, or refused before anything is.

use super::*;
use crate::engine::model_details::ModelDetails;
use crate::event::{FaultKind, PromptImage};
use crate::testkit::images::PNG_2X3;

fn look(text: &str) -> Command {
    let image = PromptImage::new(PNG_2X3).unwrap();
    Command::Prompt {
        text: text.into(),
        context: vec![PromptContext::from_image("cat.png".into(), image)],
        author: None,
    }
}

fn images_of(request: &ModelRequest) -> Vec<usize> {
    let count = |past: &HistoryMessage| match past {
        HistoryMessage::User { images, .. } => Some(images.len()),
        HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => None,
    };
    request.history.iter().filter_map(count).collect()
}

#[tokio::test(start_paused = true)]
async fn an_image_is_sent_again_with_later_prompts() {
    let first = engine("seeing", vec![says("a cat"), says("a small one")]);
    let mut rig = AgentRig::simple(&first, &[], ApprovalMode::Ask);
    rig.send(look("what is it?")).await;
    rig.end().await;
    rig.prompt("how large?").await;
    rig.end().await;
    let requests = first.requests.lock().unwrap();
    assert_eq!(requests.iter().map(images_of).collect::<Vec<_>>(), [vec![1], vec![1, 0]]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_a_place_for_images_is_not_asked() {
    let first = engine("blind", vec![says("hello")]);
    let mut rig = AgentRig::simple(&first, &[], ApprovalMode::Ask);
    rig.send(look("what is it?")).await;
    let TurnOutcome::Failed(fault) = rig.end().await else { panic!("refused") };
    assert_eq!(fault.kind, FaultKind::BadRequest);
    assert!(fault.message.starts_with("blind/m takes no images; "), "{}", fault.message);
    assert!(first.requests.lock().unwrap().is_empty());
    rig.prompt("hi").await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    assert_eq!(first.requests.lock().unwrap()[0].history, [HistoryMessage::user("hi")]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_sees_nothing_gets_words_in_the_place_of_earlier_images() {
    let (first, blind) = (engine("seeing", vec![says("a cat")]), engine("blind", vec![says("so you said")]));
    let other = blind.clone();
    let switch: crate::agent::SwitchModel = Arc::new(move |_| {
        let choice = choice(&other);
        Box::pin(async { Ok(choice) })
    });
    let mut rig = AgentRig::start(&first, &[], ApprovalMode::Ask, switch);
    rig.send(look("what is it?")).await;
    rig.end().await;
    rig.send(Command::SetModel { model: "blind/m".into() }).await;
    rig.prompt("sure?").await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let asked = blind.requests.lock().unwrap();
    assert_eq!(asked[0].history[0], HistoryMessage::user("what is it?\n\n[PNG image, 2x3: not sent]"));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_of_its_model_is_told_and_holds() {
    let first = engine("seeing", vec![says("hello")]);
    let mut described = choice(&first);
    described.describe = Some(Arc::new(|| {
        Box::pin(async { Some(ModelDetails { takes_images: Some(false), ..ModelDetails::default() }) })
    }));
    let mut rig = AgentRig::start_with(&first, &[], |setup| setup.engine_choice = Box::pin(async { Ok(described) }));
    rig.send(look("what is it?")).await;
    assert!(matches!(rig.end().await, TurnOutcome::Failed(_)));
    let told: Vec<bool> = rig
        .seen
        .iter()
        .filter_map(|event| match event {
            AgentEvent::SessionOpened { capabilities, .. } => Some(capabilities.images),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false]);
    assert!(first.requests.lock().unwrap().is_empty());
}
