//! Updates of a chat's settings: what a client leaves out keeps its value.

use wire::hume::session::{ContextChange, SessionSettings};

/// Absent fields keep their value.
pub(crate) fn merge(settings: &mut SessionSettings, update: SessionSettings) {
    let SessionSettings {
        custom_session_id,
        audio,
        system_prompt,
        context,
        variables,
        tools,
        builtin_tools,
        metadata,
        voice_id,
        language_model_api_key,
    } = update;
    replace(&mut settings.custom_session_id, custom_session_id);
    replace(&mut settings.audio, audio);
    replace(&mut settings.system_prompt, system_prompt);
    match context {
        Some(ContextChange::Clear) => settings.context = None,
        Some(ContextChange::Inject(context)) => settings.context = Some(ContextChange::Inject(context)),
        None => {}
    }
    settings.variables.extend(variables);
    replace(&mut settings.tools, tools);
    replace(&mut settings.builtin_tools, builtin_tools);
    replace(&mut settings.metadata, metadata);
    replace(&mut settings.voice_id, voice_id);
    replace(&mut settings.language_model_api_key, language_model_api_key);
}

fn replace<T>(field: &mut Option<T>, update: Option<T>) {
    if update.is_some() {
        *field = update;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::hume::session::Variable;

    #[test]
    fn updates_are_partial_variables_add_up_and_null_clears_the_context() {
        let read = |text: &str| serde_json::from_str::<SessionSettings>(text).unwrap();
        let mut settings = read(r#"{"voice_id":"a","system_prompt":"p","variables":{"x":1},"context":{"text":"c"}}"#);
        merge(&mut settings, read(r#"{"voice_id":"b","variables":{"y":"2"},"context":null}"#));
        assert_eq!((settings.voice_id.as_deref(), settings.system_prompt.as_deref()), (Some("b"), Some("p")));
        assert_eq!(settings.variables.len(), 2);
        assert_eq!(settings.variables["y"], Variable::from("2"));
        assert_eq!(settings.context, None);
    }
}
