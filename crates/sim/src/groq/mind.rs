//! What the model says to a conversation: the booking assistant, which hears all of it again.

use wire::groq::request::{ChatRequest, Message, ToolChoice, ToolChoiceMode};

use crate::evi::mind::{UNINTELLIGIBLE, is_note};
use crate::speech::{Assistant, Heard, Reply};

/// Words in the instructions that name the language to speak.
const LANGUAGES: [(&str, &str); 4] = [("german", "de"), ("deutsch", "de"), ("spanish", "es"), ("español", "es")];

/// The reply to what stands last in the request.
pub(crate) fn reply(request: &ChatRequest, language: &str) -> Reply {
    let instructions: Vec<&str> = (request.messages.iter())
        .filter_map(|message| match message {
            Message::System { content } => Some(content.as_str()),
            Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
        })
        .collect();
    let instructions = instructions.join("\n");
    let lower = instructions.to_lowercase();
    let named = LANGUAGES.iter().find(|(word, _)| lower.contains(word)).map(|(_, language)| *language);
    let may_call = request.tool_choice != Some(ToolChoice::Mode(ToolChoiceMode::None));
    let tools = request.tools.iter().filter(|_| may_call).map(|tool| tool.function.name.clone());
    let assistant = Assistant::by_instructions(&instructions, named.unwrap_or(language)).with_tools(tools);
    answer(assistant, &request.messages)
}

fn answer(mut assistant: Assistant, messages: &[Message]) -> Reply {
    // Whether nothing was said to the assistant yet, so that a greeting is what it is asked for.
    let (mut greets, mut pending) = (true, Reply::default());
    // Our last sentence broke off, and we are asked to go on with it.
    let (messages, broken_off) = match messages {
        [earlier @ .., Message::Assistant { content: Some(said), tool_calls }, Message::System { content }]
            if tool_calls.is_empty() && !is_note(content) =>
        {
            (earlier, Some(said.as_str()))
        }
        messages => (messages, None),
    };
    for message in messages {
        match message {
            Message::System { content } if is_note(content) && pending == Reply::default() => {
                greets = false;
                pending = assistant.reply(Heard::LineGone);
            }
            Message::System { .. } => {}
            Message::User { content } => {
                greets = false;
                // Another engine may have called the tool before: its answer then stands nowhere.
                if pending.tool.is_some() {
                    assistant.tool_result(true);
                }
                pending = assistant.reply(match content.trim() {
                    "" => Heard::Silence,
                    UNINTELLIGIBLE => Heard::Unrecognised,
                    words => Heard::Said(words),
                });
            }
            Message::Assistant { tool_calls, .. } => {
                greets = false;
                if tool_calls.is_empty() && pending.tool.is_some() {
                    assistant.tool_result(true);
                }
                pending = Reply::default();
            }
            Message::Tool { content, .. } => {
                let failed = content.starts_with("Error") || content.contains("\"error\"");
                pending = assistant.tool_result(!failed);
            }
        }
    }
    let reply = if greets { assistant.greet() } else { pending };
    match broken_off {
        Some(said) => Reply { sentences: unsaid(&reply.sentences, said), ..reply },
        None => reply,
    }
}

/// What is left of these sentences when this much of them was said.
fn unsaid(sentences: &[&'static str], said: &str) -> Vec<&'static str> {
    let mut said = said.chars().filter(|letter| !letter.is_whitespace()).peekable();
    let rest = sentences.iter().map(|sentence| {
        let next =
            sentence.char_indices().find(|(_, letter)| !letter.is_whitespace() && said.next_if_eq(letter).is_none());
        next.map_or("", |(at, _)| &sentence[at..])
    });
    rest.filter(|rest| !rest.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use wire::groq::request::{Tool, ToolCall};

    use super::*;

    fn ask(messages: Vec<Message>, tools: &[&str]) -> Reply {
        let tools = tools.iter().map(|name| Tool::function(*name, None, None)).collect();
        reply(&ChatRequest { tools, ..ChatRequest::streamed("m", messages) }, "en")
    }

    #[test]
    fn a_conversation_that_is_told_again_goes_on_where_it_was() {
        let mut messages =
            vec![Message::system("You work for a dentist."), Message::user("I'd like to book an appointment.")];
        for (answer, next) in [("Slots.", "Tuesday, please."), ("Your name?", "My name is Alex Morgan.")] {
            assert!(!ask(messages.clone(), &["record_booking"]).sentences.is_empty());
            messages.extend([Message::assistant(answer), Message::user(next)]);
        }
        messages.extend([Message::assistant("Is that right?"), Message::user("Yes, please.")]);
        let call = ask(messages.clone(), &["record_booking"]).tool.expect("it books");
        assert_eq!(call.name, "record_booking");
        messages.push(Message::Assistant {
            content: None,
            tool_calls: vec![ToolCall::new("call_1", call.name, call.arguments.to_string())],
        });
        let mut failed = messages.clone();
        failed.push(Message::tool("call_1", "{\"error\":\"full\"}"));
        messages.push(Message::tool("call_1", "{\"booked\":true}"));
        let (done, failed) = (ask(messages, &["record_booking"]), ask(failed, &["record_booking"]));
        assert!(done.tool.is_none() && !done.sentences.is_empty() && done != failed);
    }

    #[test]
    fn an_answer_that_broke_off_is_gone_on_with_from_where_it_was() {
        let asked = vec![Message::system("You work for a dentist."), Message::user("I'd like to book an appointment.")];
        let whole = ask(asked.clone(), &[]).text();
        for (said, rest) in [("I have Tuesday at", "ten, or Thursday at three."), (whole.as_str(), "")] {
            let mut messages = asked.clone();
            messages.extend([Message::assistant(said), Message::system("Go on.")]);
            assert!(ask(messages.clone(), &[]).text().starts_with(rest), "{said}");
            assert_eq!(ask(messages, &[]).text().is_empty(), rest.is_empty(), "{said}");
        }
    }

    #[test]
    fn nobody_said_anything_so_it_greets_and_calls_only_what_it_is_offered() {
        assert!(!ask(vec![Message::system("You run a survey.")], &[]).sentences.is_empty());
        assert_eq!(ask(vec![Message::user("No, thank you. Goodbye.")], &[]).tool, None);
        let bye = ask(vec![Message::user("No, thank you. Goodbye.")], &["hang_up"]);
        assert_eq!(bye.tool.map(|tool| tool.name), Some("hang_up"));
    }
}
