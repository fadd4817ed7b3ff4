//! PURE. Images in what a client says: parts of a message, as OpenAI's two APIs have them.
//!
//! Nothing is fetched: an image is in its part, as a `data:` address. Not here: which roles may send some.

use super::error::ApiError;
use super::fields::{self, Fields};
use crate::event::{Json, PromptContext, PromptImage};

/// A prompt of a client, and the images that go with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientPrompt {
    pub text: String,
    pub images: Vec<PromptContext>,
}

impl From<&str> for ClientPrompt {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), images: Vec::new() }
    }
}

/// Reads a part of a message into `images`; false where it is none of an image.
pub(super) fn push_image(part: &Fields, at: &str, images: &mut Vec<PromptContext>) -> Result<bool, ApiError> {
    if !matches!(fields::get_string(part, "type", at)?, Some("image_url" | "input_image")) {
        return Ok(false);
    }
    let unsupported = |why: &str| {
        let text = format!("{at}: {why}; send the image in a data: address, in base64");
        ApiError::new(400, "unsupported_content", text).with_param(at)
    };
    let url = match fields::get_value(part, "image_url") {
        Some(Json::String(url)) => Some(url.as_str()),
        Some(Json::Object(url)) => url.get("url").and_then(Json::as_str),
        _ => None,
    };
    let url = url.ok_or_else(|| unsupported("this image has no address"))?;
    let image = PromptImage::from_data_url(url).map_err(|why| unsupported(&why))?;
    images.push(PromptContext::from_image(format!("image {}", images.len() + 1), image));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testkit::images::PNG_2X3;

    fn read(part: &Json) -> Result<Vec<PromptContext>, String> {
        let mut images = Vec::new();
        let is_image = push_image(part.as_object().unwrap(), "p", &mut images).map_err(|error| error.message)?;
        assert_eq!(is_image, !images.is_empty());
        Ok(images)
    }

    #[test]
    fn both_forms_of_a_part_give_the_image() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let expected = vec![PromptContext::from_image("image 1".into(), image.clone())];
        let chat = json!({"type": "image_url", "image_url": {"url": image.data_url(), "detail": "low"}});
        let responses = json!({"type": "input_image", "image_url": image.data_url(), "detail": "auto"});
        assert_eq!((read(&chat), read(&responses)), (Ok(expected.clone()), Ok(expected)));
        assert_eq!(read(&json!({"type": "text", "text": "hi"})), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_image_here_is_refused_with_the_reason() {
        for (part, why) in [
            (json!({"type": "input_image", "file_id": "file-1"}), "p: this image has no address"),
            (
                json!({"type": "image_url", "image_url": {"url": "https://h/a.png"}}),
                "p: only images in data: addresses",
            ),
            (json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}), "p: not a PNG, JPEG"),
            (json!({"type": "image_url", "image_url": {}}), "p: this image has no address"),
        ] {
            let error = read(&part).unwrap_err();
            assert!(error.starts_with(why), "{part}: {error}");
        }
    }
}
