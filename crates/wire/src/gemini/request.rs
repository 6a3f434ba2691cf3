//! What is asked: a request for one structured answer.

use serde::Serialize;
use serde_json::Value;

use super::Model;
use super::names::words;

/// A request for an answer. Written with exactly the documented keys: the service refuses any other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateContent {
    /// What is being talked about.
    pub contents: Vec<Content>,
    /// What the model is to do, said by us and by nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<Content>,
    /// What of its own accord it would hold back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub safety_settings: Vec<SafetySetting>,
    /// What the answer looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<GenerationConfig>,
}

/// Words of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// `user` or `model`; none for instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The words.
    pub parts: Vec<TextPart>,
}

/// Words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextPart {
    /// The words.
    pub text: String,
}

/// What the answer looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationConfig {
    /// `application/json` with a schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<&'static str>,
    /// An ordinary JSON Schema, lower case. Never beside the older `responseSchema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<Value>,
    /// The most tokens; what the model thinks counts as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// How much it thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<ThinkingConfig>,
}

/// How much the model thinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThinkingConfig {
    /// The level.
    pub thinking_level: ThinkingLevel,
}

words! {
    /// How much the model thinks.
    ThinkingLevel {
        /// As little as the model can; not every model takes it.
        Minimal = "MINIMAL",
        /// A little.
        Low = "LOW",
        /// More.
        Medium = "MEDIUM",
        /// Much.
        High = "HIGH",
    }
}

/// What the service holds back of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SafetySetting {
    /// Of which kind.
    pub category: HarmCategory,
    /// From when on.
    pub threshold: BlockThreshold,
}

words! {
    /// A kind of harmful words.
    HarmCategory {
        /// Words against a person.
        Harassment = "HARM_CATEGORY_HARASSMENT",
        /// Words against a group.
        HateSpeech = "HARM_CATEGORY_HATE_SPEECH",
        /// Sexual words.
        SexuallyExplicit = "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        /// Help with dangerous things.
        DangerousContent = "HARM_CATEGORY_DANGEROUS_CONTENT",
    }
}

words! {
    /// From when on words are held back.
    BlockThreshold {
        /// Never.
        BlockNone = "BLOCK_NONE",
        /// When it is likely that they harm.
        BlockOnlyHigh = "BLOCK_ONLY_HIGH",
        /// When it may be.
        BlockMediumAndAbove = "BLOCK_MEDIUM_AND_ABOVE",
        /// At the least sign.
        BlockLowAndAbove = "BLOCK_LOW_AND_ABOVE",
    }
}

impl GenerateContent {
    /// Asks for one answer by a schema. What callers say is not ours to judge, so nothing is held back for it; sampling
    /// is left at the model's defaults, as its makers advise.
    #[must_use]
    pub fn structured(model: &Model, instructions: &str, question: String, schema: Value, tokens_max: u32) -> Self {
        let part = |text: String| vec![TextPart { text }];
        let thinking = ThinkingConfig { thinking_level: ThinkingLevel::Low };
        Self {
            contents: vec![Content { role: Some("user"), parts: part(question) }],
            system_instruction: Some(Content { role: None, parts: part(instructions.to_owned()) }),
            safety_settings: HarmCategory::KNOWN
                .iter()
                .map(|category| SafetySetting { category: category.clone(), threshold: BlockThreshold::BlockNone })
                .collect(),
            generation_config: Some(GenerationConfig {
                response_mime_type: Some("application/json"),
                response_json_schema: Some(schema),
                max_output_tokens: Some(tokens_max),
                thinking_config: model.thinks_by_level().then_some(thinking),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_written_with_the_documented_keys_and_no_others() {
        let model = "gemini-3.5-flash-lite".parse().unwrap();
        let request =
            GenerateContent::structured(&model, "Judge.", "[1] caller: Hi".into(), json!({"type": "object"}), 9);
        insta::assert_json_snapshot!(request, @r#"
        {
          "contents": [
            {
              "role": "user",
              "parts": [
                {
                  "text": "[1] caller: Hi"
                }
              ]
            }
          ],
          "systemInstruction": {
            "parts": [
              {
                "text": "Judge."
              }
            ]
          },
          "safetySettings": [
            {
              "category": "HARM_CATEGORY_HARASSMENT",
              "threshold": "BLOCK_NONE"
            },
            {
              "category": "HARM_CATEGORY_HATE_SPEECH",
              "threshold": "BLOCK_NONE"
            },
            {
              "category": "HARM_CATEGORY_SEXUALLY_EXPLICIT",
              "threshold": "BLOCK_NONE"
            },
            {
              "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
              "threshold": "BLOCK_NONE"
            }
          ],
          "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {
              "type": "object"
            },
            "maxOutputTokens": 9,
            "thinkingConfig": {
              "thinkingLevel": "LOW"
            }
          }
        }
        "#);
        let older = "gemini-2.5-flash".parse().unwrap();
        let request = GenerateContent::structured(&older, "", String::new(), json!({}), 9);
        assert_eq!(request.generation_config.unwrap().thinking_config, None);
    }
}
