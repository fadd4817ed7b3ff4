//! Images with a prompt, in each of the forms that have a place for them.

use super::*;
use crate::event::PromptImage;
use crate::testkit::images::PNG_2X3;

fn look(image: &PromptImage) -> ModelRequest {
    let past = HistoryMessage::User { text: "what is it?".into(), images: vec![image.clone()] };
    ModelRequest { model: "m".into(), history: vec![past], ..ModelRequest::default() }
}

#[test]
fn each_form_has_the_image_where_its_servers_look_for_it() {
    let image = PromptImage::new(PNG_2X3).unwrap();
    let (bytes, url) = (image.base64(), image.data_url());
    let media = "image/png";
    for (kind, place, expected) in [
        (&CHAT, "/messages/0/content/1", json!({"type": "image_url", "image_url": {"url": url}})),
        (&model_apis::COHERE, "/messages/0/content/1", json!({"type": "image_url", "image_url": {"url": url}})),
        (&model_apis::ANTHROPIC, "/messages/0/content/0/source/data", json!(bytes)),
        (&gemini::GENERATE, "/contents/0/parts/1", json!({"inlineData": {"mimeType": media, "data": bytes}})),
        (
            &gemini_interactions::CREATE,
            "/input/0/content/1",
            json!({"type": "image", "data": bytes, "mime_type": media}),
        ),
        (&bedrock::CONVERSE, "/messages/0/content/0", json!({"image": {"format": "png", "source": {"bytes": bytes}}})),
        (&mistral::CONVERSATIONS, "/inputs/0/content/1", json!({"type": "image_url", "image_url": url})),
        (
            &ag_ui::RUN,
            "/messages/0/content/1",
            json!({"type": "image", "source": {"type": "data", "value": bytes, "mimeType": media}}),
        ),
        (&ai_sdk::CHAT, "/messages/0/parts/1", json!({"type": "file", "mediaType": media, "url": url})),
        (&a2a::V0_3, "/params/message/parts/1", json!({"kind": "file", "file": {"bytes": bytes, "mimeType": media}})),
        (&a2a::V1, "/params/message/parts/1", json!({"raw": bytes, "mediaType": media})),
        (&a2a::REST_V1, "/message/parts/1", json!({"raw": bytes, "mediaType": media})),
        (&a2a::REST_V0_3, "/message/content/1", json!({"file": {"fileWithBytes": bytes, "mimeType": media}})),
    ] {
        let engine = remote(kind, "http://h/x");
        assert!(engine.takes_images(), "{}", kind.name);
        let (_, body) = asked(&engine, &look(&image));
        assert_eq!(body.pointer(place), Some(&expected), "{}: {body}", kind.name);
    }
}

#[test]
fn a_form_without_a_place_for_images_sends_nothing() {
    let image = PromptImage::new(PNG_2X3).unwrap();
    for kind in [&poe::STREAM, &openjarvis::MANAGED, &agno::RUN, &mastra::STREAM, &langgraph::RUN, &enclava::RESPONSES]
    {
        let engine = remote(kind, "http://h/x");
        assert!(!engine.takes_images(), "{}", kind.name);
        let ReplyPlan::Scripted(events) = engine.plan_reply(&look(&image)) else { panic!("{}", kind.name) };
        let ReplyEvent::End { outcome: TurnOutcome::Failed(fault) } = &events[0].event else { panic!("{events:?}") };
        assert!(fault.message.contains("takes no images"), "{}", fault.message);
    }
}
