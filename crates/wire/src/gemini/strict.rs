//! Reading a request as the service does: every key known, every value of its type, the schema one it can serve.
//!
//! The service reads JSON into protocol buffers, so a key may be written `likeThis` or `like_this`, and one that it does
//! not know is refused by name. (Gemini API: "generateContent", "Structured output")

use serde_json::{Map, Value};

use super::error::ApiError;
use super::request::{BlockThreshold, HarmCategory, ThinkingLevel};

/// The deepest schema that is served. The real bound is not published, and depends on all of the schema.
const SCHEMA_DEPTH_MAX: usize = 8;

/// The most properties of a schema, for the same reason.
const SCHEMA_PROPERTIES_MAX: usize = 100;

/// A question as it was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The instructions, parts joined by lines.
    pub instructions: String,
    /// What is being talked about, likewise.
    pub question: String,
    /// The schema of the answer; none for prose.
    pub schema: Option<Value>,
    /// The most tokens.
    pub tokens_max: Option<u64>,
}

/// Reads a request.
///
/// # Errors
///
/// 400 `INVALID_ARGUMENT`, as the service would say it.
pub fn read(body: &[u8]) -> Result<Asked, ApiError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| invalid("Invalid JSON payload received."))?;
    let root = object(&value, "")?;
    known(
        root,
        "",
        &[
            "contents",
            "systemInstruction",
            "generationConfig",
            "safetySettings",
            "tools",
            "toolConfig",
            "cachedContent",
            "serviceTier",
        ],
    )?;
    let contents = field(root, "contents").and_then(Value::as_array).filter(|contents| !contents.is_empty());
    let contents = contents.ok_or_else(|| invalid("* GenerateContentRequest.contents: contents is not specified"))?;
    let mut question = Vec::new();
    for content in contents {
        let role = content.get("role").and_then(Value::as_str).unwrap_or("user");
        if !matches!(role, "user" | "model") {
            return Err(invalid("Please use a valid role: user, model."));
        }
        question.push(words(content, "contents")?);
    }
    let instructions =
        field(root, "systemInstruction").map(|content| words(content, "system_instruction")).transpose()?;
    for setting in field(root, "safetySettings").and_then(Value::as_array).into_iter().flatten() {
        safety_setting(setting)?;
    }
    let mut asked = Asked {
        instructions: instructions.unwrap_or_default(),
        question: question.join("\n"),
        schema: None,
        tokens_max: None,
    };
    if let Some(config) = field(root, "generationConfig") {
        generation_config(object(config, "generation_config")?, &mut asked)?;
    }
    Ok(asked)
}

fn generation_config(config: &Map<String, Value>, asked: &mut Asked) -> Result<(), ApiError> {
    known(
        config,
        "generation_config",
        &[
            "temperature",
            "topP",
            "topK",
            "candidateCount",
            "maxOutputTokens",
            "stopSequences",
            "seed",
            "responseMimeType",
            "responseSchema",
            "responseJsonSchema",
            "thinkingConfig",
            "responseLogprobs",
            "logprobs",
        ],
    )?;
    let mime = field(config, "responseMimeType").map(|mime| text(mime, "response_mime_type")).transpose()?;
    let schemas = (field(config, "responseSchema"), field(config, "responseJsonSchema"));
    match schemas {
        (Some(_), Some(_)) => {
            return Err(invalid("response_schema and response_json_schema must not be set together."));
        }
        (None, None) => {}
        (Some(_), None) => return Err(invalid("this simulator serves response_json_schema only.")),
        (None, Some(schema)) => {
            if mime != Some("application/json") {
                return Err(invalid("Structured output needs response_mime_type `application/json`."));
            }
            let mut properties = 0;
            check_schema(schema, 0, &mut properties)?;
            asked.schema = Some(schema.clone());
        }
    }
    if !matches!(mime, None | Some("text/plain" | "application/json" | "text/x.enum")) {
        return Err(invalid("response_mime_type must be one of text/plain, application/json."));
    }
    if let Some(tokens) = field(config, "maxOutputTokens") {
        let tokens = tokens.as_u64().filter(|tokens| (1..=65_536).contains(tokens));
        asked.tokens_max = Some(tokens.ok_or_else(|| invalid("max_output_tokens must be from 1 to 65536."))?);
    }
    let temperature = field(config, "temperature").map(|value| value.as_f64().filter(|t| (0.0..=2.0).contains(t)));
    if temperature == Some(None) {
        return Err(invalid("temperature must be in the range [0.0, 2.0]."));
    }
    if let Some(thinking) = field(config, "thinkingConfig") {
        let thinking = object(thinking, "generation_config.thinking_config")?;
        known(thinking, "generation_config.thinking_config", &["thinkingLevel", "thinkingBudget", "includeThoughts"])?;
        if field(thinking, "thinkingLevel").is_some() && field(thinking, "thinkingBudget").is_some() {
            return Err(invalid("You can only set one of thinking_budget and thinking_level."));
        }
        if let Some(level) = field(thinking, "thinkingLevel") {
            let word = text(level, "thinking_level")?.to_ascii_uppercase();
            enumerated(&word, "thinking_level", ThinkingLevel::KNOWN.iter().map(ThinkingLevel::as_str))?;
        }
    }
    Ok(())
}

fn safety_setting(setting: &Value) -> Result<(), ApiError> {
    let setting = object(setting, "safety_settings")?;
    known(setting, "safety_settings", &["category", "threshold"])?;
    let word = |name: &str| text(setting.get(name).unwrap_or(&Value::Null), name);
    enumerated(word("category")?, "category", HarmCategory::KNOWN.iter().map(HarmCategory::as_str))?;
    enumerated(word("threshold")?, "threshold", BlockThreshold::KNOWN.iter().map(BlockThreshold::as_str).chain(["OFF"]))
}

/// A subset of JSON Schema is served. (Gemini API: "Structured output", "JSON Schema support")
fn check_schema(schema: &Value, depth: usize, properties: &mut usize) -> Result<(), ApiError> {
    let schema = object(schema, "response_json_schema")?;
    if depth > SCHEMA_DEPTH_MAX {
        return Err(invalid("The specified schema produces a constraint that has too many states for serving."));
    }
    const KEYS: [&str; 21] = [
        "type",
        "title",
        "description",
        "enum",
        "format",
        "properties",
        "required",
        "propertyOrdering",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "$ref",
        "$defs",
        "$id",
        "$anchor",
        "additionalProperties",
    ];
    if let Some(unknown) = schema.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(invalid(&format!("response_json_schema: `{unknown}` is not supported.")));
    }
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(invalid("response_json_schema: `type` must be a name, or a list of names.")),
        None => Vec::new(),
    };
    for name in &types {
        enumerated(name, "type", ["string", "number", "integer", "boolean", "object", "array", "null"])?;
    }
    if let Some(found) = schema.get("properties") {
        let found = object(found, "response_json_schema.properties")?;
        *properties += found.len();
        if *properties > SCHEMA_PROPERTIES_MAX {
            return Err(invalid("The specified schema produces a constraint that has too many states for serving."));
        }
        for property in found.values() {
            check_schema(property, depth + 1, properties)?;
        }
        for list in ["required", "propertyOrdering"] {
            for name in schema.get(list).and_then(Value::as_array).into_iter().flatten() {
                if !name.as_str().is_some_and(|name| found.contains_key(name)) {
                    return Err(invalid(&format!("response_json_schema.{list}: property is not defined")));
                }
            }
        }
    }
    match schema.get("items") {
        Some(items) => check_schema(items, depth + 1, properties)?,
        None if types.contains(&"array") => return Err(invalid("response_json_schema.items: missing field.")),
        None => {}
    }
    for each in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        check_schema(each, depth + 1, properties)?;
    }
    Ok(())
}

fn words(content: &Value, path: &str) -> Result<String, ApiError> {
    let content = object(content, path)?;
    known(content, path, &["role", "parts"])?;
    let parts = content.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let parts = parts
        .ok_or_else(|| invalid(&format!("* GenerateContentRequest.{path}.parts: contents.parts must not be empty.")))?;
    let mut words = Vec::new();
    for part in parts {
        let part = object(part, "parts")?;
        known(part, &format!("{path}.parts"), &["text", "thought", "thoughtSignature"])?;
        words.push(text(part.get("text").unwrap_or(&Value::Null), "text")?);
    }
    Ok(words.join("\n"))
}

/// The field of this name, in either spelling.
fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| object.get(&snake(name))).filter(|value| !value.is_null())
}

fn known(object: &Map<String, Value>, path: &str, names: &[&str]) -> Result<(), ApiError> {
    match object.keys().find(|key| !names.iter().any(|name| name == key || snake(name) == **key)) {
        None => Ok(()),
        Some(unknown) if path.is_empty() => {
            Err(invalid(&format!("Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field.")))
        }
        Some(unknown) => Err(invalid(&format!(
            "Invalid JSON payload received. Unknown name \"{unknown}\" at '{path}': Cannot find field."
        ))),
    }
}

fn object<'v>(value: &'v Value, path: &str) -> Result<&'v Map<String, Value>, ApiError> {
    value.as_object().ok_or_else(|| invalid(&format!("Invalid value at '{path}': an object is expected.")))
}

fn text<'v>(value: &'v Value, path: &str) -> Result<&'v str, ApiError> {
    value.as_str().ok_or_else(|| invalid(&format!("Invalid value at '{path}' (TYPE_STRING).")))
}

fn enumerated<'n>(word: &str, path: &str, names: impl IntoIterator<Item = &'n str>) -> Result<(), ApiError> {
    if names.into_iter().any(|name| name == word) {
        return Ok(());
    }
    Err(invalid(&format!("Invalid value at '{path}' (TYPE_ENUM), \"{word}\"")))
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn invalid(message: &str) -> ApiError {
    ApiError { code: 400, message: message.to_owned(), status: "INVALID_ARGUMENT".to_owned(), details: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gemini::request::GenerateContent;

    fn ours() -> Value {
        let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]});
        let model = "gemini-3.5-flash-lite".parse().unwrap();
        serde_json::to_value(GenerateContent::structured(&model, "Judge.", "[1] caller: Hi".into(), schema, 2_048))
            .unwrap()
    }

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut request = ours();
        change(&mut request);
        read(request.to_string().as_bytes()).unwrap_err().message
    }

    #[test]
    fn what_we_write_is_read_as_it_was_meant() {
        let asked = read(ours().to_string().as_bytes()).unwrap();
        assert_eq!((asked.instructions.as_str(), asked.question.as_str()), ("Judge.", "[1] caller: Hi"));
        assert_eq!((asked.schema.unwrap()["type"].as_str(), asked.tokens_max), (Some("object"), Some(2_048)));
    }

    #[test]
    fn what_the_service_would_refuse_is_refused() {
        assert!(read(b"{").unwrap_err().message.contains("Invalid JSON"));
        assert!(refused(|request| request["contents"] = json!([])).contains("contents is not specified"));
        assert!(refused(|request| request["model"] = json!("m")).contains("Unknown name \"model\""));
        assert!(refused(|request| request["contents"][0]["role"] = json!("system")).contains("valid role"));
        assert!(refused(|request| request["safetySettings"][0]["threshold"] = json!("NEVER")).contains("NEVER"));
        let config = |change: fn(&mut Value)| refused(move |request| change(&mut request["generationConfig"]));
        assert!(config(|config| config["responseFormat"] = json!([])).contains("Unknown name \"responseFormat\""));
        assert!(config(|config| config["responseSchema"] = json!({"type": "OBJECT"})).contains("set together"));
        assert!(config(|config| config["responseMimeType"] = json!("text/plain")).contains("application/json"));
        assert!(config(|config| config["thinkingConfig"]["thinkingBudget"] = json!(0)).contains("only set one"));
        assert!(config(|config| config["thinkingConfig"]["thinkingLevel"] = json!("deep")).contains("thinking_level"));
        assert!(config(|config| config["maxOutputTokens"] = json!(0)).contains("max_output_tokens"));
        assert!(config(|config| config["responseJsonSchema"]["type"] = json!("OBJECT")).contains("OBJECT"));
        assert!(config(|config| config["responseJsonSchema"]["required"] = json!(["b"])).contains("not defined"));
        assert!(config(|config| config["responseJsonSchema"]["if"] = json!({})).contains("`if`"));
        let mut deep = json!({"type": "string"});
        for _ in 0..12 {
            deep = json!({"type": "object", "properties": {"x": deep}});
        }
        assert!(
            refused(|request| request["generationConfig"]["responseJsonSchema"] = deep).contains("too many states")
        );
    }
}
