use super::super::bank::{Source, UTTERANCES, Who, speak};
use super::*;

/// A whole conversation: what the caller says, and what must come back. A tool call stands in brackets.
fn conversation(assistant: &mut Assistant, lines: &[(&str, &str)]) {
    for (said, expected) in lines {
        let reply = assistant.reply(Heard::Said(said));
        assert_eq!(shown(&reply), *expected, "after {said:?}");
        if reply.tool.is_some_and(|tool| tool.name == "record_booking") {
            assert!(assistant.reply(Heard::Said("Yes, please.")).sentences.is_empty());
        }
    }
}

fn shown(reply: &Reply) -> String {
    match &reply.tool {
        None => reply.text(),
        Some(tool) => format!("{} [{} {}]", reply.text(), tool.name, tool.arguments).trim().to_owned(),
    }
}

#[test]
fn a_receptionist_books_an_appointment() {
    let mut assistant = Assistant::new("receptionist", "en-US");
    assert_eq!(assistant.greet().text(), "Hello, this is Maple Street Dental. How can I help you today?");
    conversation(
        &mut assistant,
        &[
            ("I'd like to book an appointment.", "I have Tuesday at ten, or Thursday at three."),
            ("Thursday at three, please.", "What name shall I put it under?"),
            ("My name is Alex Morgan.", "So that is Thursday at three. Is that right?"),
            (
                "Yes, that's right.",
                r#"[record_booking {"name":"Alex Morgan","what":"appointment","when":"Thursday 15:00"}]"#,
            ),
        ],
    );
    assert_eq!(assistant.tool_result(true).text(), "You are booked for Thursday at three. Is there anything else?");
    conversation(
        &mut assistant,
        &[("No, thank you.", r#"Thank you for calling. Goodbye. [hang_up {"reason":"said_goodbye"}]"#), ("Hello?", "")],
    );
    assert!(assistant.has_ended());
}

#[test]
fn a_booking_that_cannot_be_saved_is_not_claimed() {
    let mut assistant = Assistant::new("receptionist", "en");
    for said in ["Tuesday at ten, please.", "It's Jamie Rivera.", "Yes, please."] {
        assistant.reply(Heard::Said(said));
    }
    let reply = assistant.tool_result(false).text();
    assert_eq!(
        reply,
        "I am sorry, I could not save that. I will ask someone to call you back. Is there anything else?"
    );
    assert_eq!(assistant.tool_result(true), Reply::default(), "a second answer changes nothing");
}

#[test]
fn a_correction_is_heard_before_and_after_the_name() {
    let mut assistant = Assistant::new("receptionist", "en");
    conversation(
        &mut assistant,
        &[
            ("Tuesday at ten, please.", "What name shall I put it under?"),
            ("Wait, wait, not Tuesday.", "I am sorry, that day is full. I have Tuesday at ten, or Thursday at three."),
            ("Thursday at three, please.", "What name shall I put it under?"),
            ("It's Jamie Rivera.", "So that is Thursday at three. Is that right?"),
            ("No, that's not right.", "I have Tuesday at ten, or Thursday at three."),
            ("Tuesday at ten, please.", "So that is Tuesday at ten. Is that right?"),
        ],
    );
}

#[test]
fn a_ride_is_booked_with_its_place() {
    let mut assistant = Assistant::new("transit-booking", "en");
    assert_eq!(assistant.greet().text(), "Hello, this is City Ride. Where would you like to go?");
    conversation(
        &mut assistant,
        &[
            ("Hello?", "Where would you like to go?"),
            ("To the train station, please.", "I have Tuesday at ten, or Thursday at three."),
            ("Tuesday at ten, please.", "What name shall I put it under?"),
            ("It's Jamie Rivera.", "A ride to the train station. So that is Tuesday at ten. Is that right?"),
            (
                "Yes, please.",
                r#"[record_booking {"name":"Jamie Rivera","what":"ride to the train station","when":"Tuesday 10:00"}]"#,
            ),
        ],
    );
}

#[test]
fn a_reminder_is_confirmed_or_moved() {
    let mut assistant = Assistant::new("appointment-reminder", "en");
    let end = r#"Great, we will see you then. Goodbye. [hang_up {"reason":"said_goodbye"}]"#;
    conversation(
        &mut assistant,
        &[("Hello?", "You have an appointment on Tuesday at ten. Can you make it?"), ("Yes, I would.", end)],
    );
    let mut assistant = Assistant::new("appointment-reminder", "en");
    conversation(&mut assistant, &[("I can't make it that day.", "Would Thursday at three be better?")]);
    assert_eq!(assistant.reply(Heard::Said("Yes, please.")).tool.unwrap().arguments["when"], "Thursday 15:00");
    let mut assistant = Assistant::new("appointment-reminder", "en");
    conversation(
        &mut assistant,
        &[
            ("I can't make it that day.", "Would Thursday at three be better?"),
            ("No, thank you.", "Your appointment is cancelled. Is there anything else?"),
        ],
    );
}

#[test]
fn a_survey_asks_its_two_questions() {
    let mut assistant = Assistant::new("survey", "en");
    conversation(
        &mut assistant,
        &[
            ("Yes, please.", "From one to five, how happy were you with your visit?"),
            ("Hi, good morning.", "A number from one to five, please."),
            ("Four, I think.", "Would you recommend us to a friend?"),
            ("Yes, I would.", r#"Thank you, that helps us a lot. Goodbye. [hang_up {"reason":"said_goodbye"}]"#),
        ],
    );
    let mut busy = Assistant::new("survey", "en");
    conversation(
        &mut busy,
        &[("I don't have time right now.", r#"No problem. Goodbye. [hang_up {"reason":"said_goodbye"}]"#)],
    );
}

#[test]
fn whoever_wants_no_calls_is_let_go_at_once() {
    for agent in ["receptionist", "transit-booking", "appointment-reminder", "survey"] {
        let reply = Assistant::new(agent, "en").reply(Heard::Said("Please stop calling me."));
        assert_eq!(
            shown(&reply),
            r#"I understand, we will not call you again. Goodbye. [hang_up {"reason":"do_not_call"}]"#
        );
        let reply = Assistant::new(agent, "en").reply(Heard::Said("I think you have the wrong number."));
        assert_eq!(reply.tool.unwrap().arguments["reason"], "wrong_number");
    }
}

#[test]
fn what_is_not_understood_is_asked_again_and_at_last_given_up() {
    let mut assistant = Assistant::new("receptionist", "en");
    assert_eq!(assistant.reply(Heard::Unrecognised).text(), "Sorry, could you say that again?");
    assert_eq!(assistant.reply(Heard::Unrecognised).text(), "Sorry, could you say that again?");
    assistant.reply(Heard::Said("I need a check-up, please."));
    assert_eq!(assistant.reply(Heard::Unrecognised).text(), "Sorry, could you say that again?");
    assistant.reply(Heard::Unrecognised);
    let last = assistant.reply(Heard::Unrecognised);
    assert_eq!(last.text(), "I am sorry, I cannot hear you well. Please call again later. Goodbye.");
    assert_eq!(last.tool.unwrap().name, "hang_up");
}

#[test]
fn questions_in_between_do_not_lose_the_thread() {
    let mut assistant = Assistant::new("receptionist", "en");
    conversation(
        &mut assistant,
        &[
            ("Are you a real person?", "I am an AI assistant. How can I help you today?"),
            ("I'd like to book an appointment.", "I have Tuesday at ten, or Thursday at three."),
            (
                "What are your opening hours?",
                "We are open Monday to Friday, from nine to five. I have Tuesday at ten, or Thursday at three.",
            ),
            ("Can you repeat that, please?", "I have Tuesday at ten, or Thursday at three."),
            ("Tuesday at ten, please.", "What name shall I put it under?"),
        ],
    );
    assert_eq!(assistant.reply(Heard::Silence).text(), "Are you still there?");
}

#[test]
fn a_resumed_conversation_goes_on() {
    let earlier = [
        (Speaker::Agent, "Hello, this is Maple Street Dental. How can I help you today?"),
        (Speaker::Caller, "I'd like to book an appointment."),
        (Speaker::Agent, "I have Tuesday at ten, or"),
        (Speaker::Caller, "Thursday at three, please."),
    ];
    let mut assistant = Assistant::new("receptionist", "en").resumed(earlier);
    conversation(&mut assistant, &[("My name is Alex Morgan.", "So that is Thursday at three. Is that right?")]);
}

#[test]
fn tools_that_are_not_offered_are_not_called() {
    let mut assistant = Assistant::new("receptionist", "en").with_tools(["transfer"]);
    conversation(
        &mut assistant,
        &[
            ("Tuesday at ten, please.", "What name shall I put it under?"),
            ("Alex Morgan", "So that is Tuesday at ten. Is that right?"),
            ("Yes, please.", "You are booked for Tuesday at ten. Is there anything else?"),
            ("Goodbye.", "Thank you for calling. Goodbye."),
        ],
    );
}

#[test]
fn spanish_and_german_callers_are_answered_in_their_language() {
    let mut assistant = Assistant::new("receptionist", "es-MX");
    conversation(
        &mut assistant,
        &[
            ("Hola, quisiera pedir una cita.", "Tengo el martes a las diez o el jueves a las tres."),
            ("El martes a las diez, por favor.", "¿A qué nombre?"),
            ("Me llamo Ana García.", "Entonces, el martes a las diez. ¿Es correcto?"),
        ],
    );
    assert_eq!(assistant.reply(Heard::Said("Sí, correcto.")).tool.unwrap().arguments["name"], "Ana García");
    assert_eq!(assistant.tool_result(true).text(), "Su cita está reservada. ¿Desea algo más?");
    assert_eq!(assistant.reply(Heard::Said("No, gracias, adiós.")).text(), "Gracias por llamar, adiós.");
    let mut assistant = Assistant::new("receptionist", "de");
    conversation(
        &mut assistant,
        &[
            ("Guten Tag, ich möchte einen Termin.", "Ich habe Dienstag um zehn oder Donnerstag um drei."),
            ("Am Dienstag um zehn, bitte.", "Auf welchen Namen?"),
            ("Mein Name ist Jonas Weber.", "Also Dienstag um zehn. Ist das richtig?"),
        ],
    );
}

#[test]
fn a_role_is_found_in_instructions() {
    let roles = [
        ("You call to remind a patient.", Role::Reminder),
        ("You take ride bookings.", Role::Transit),
        ("This is a short Survey.", Role::Survey),
        ("You pride yourself on being a receptionist.", Role::Receptionist),
        ("", Role::Receptionist),
    ];
    for (instructions, role) in roles {
        assert_eq!(Assistant::by_instructions(instructions, "en").role, role, "{instructions:?}");
    }
}

/// Walks every agent, in every language, through everything the recorded caller can say, in all pairs of turns.
#[test]
fn every_sentence_that_is_ever_said_is_recorded() {
    let callers: Vec<&str> =
        UTTERANCES.iter().filter(|utterance| utterance.who == Who::Caller).map(|utterance| utterance.text).collect();
    let mut said = std::collections::BTreeSet::new();
    for agent in ["receptionist", "transit-booking", "appointment-reminder", "survey"] {
        for language in ["en", "es", "de"] {
            for (first, second) in callers.iter().flat_map(|first| callers.iter().map(move |second| (*first, *second)))
            {
                let mut assistant = Assistant::new(agent, language);
                said.extend(assistant.greet().sentences);
                for turn in
                    [Heard::Silence, Heard::Said(first), Heard::Said(second), Heard::Said(second), Heard::Unrecognised]
                {
                    said.extend(assistant.reply(turn).sentences);
                }
                said.extend(assistant.tool_result(first.len() % 2 == 0).sentences);
            }
        }
    }
    assert!(said.len() > 50, "{}", said.len());
    for sentence in said {
        let speech = speak(sentence, 8_000);
        assert!(matches!(speech.sentences[..], [ref only] if matches!(only.source, Source::Recorded(_))), "{sentence}");
    }
}
