//! Every bound of a call, with its reason. Reaching one has an outcome; none is a silent drop.

use std::time::Duration;

/// The length of one frame: 160 bytes of mu-law at 8 kHz, the cadence of Twilio's own audio.
pub const FRAME: Duration = Duration::from_millis(20);

/// Bytes, and samples, in a frame.
pub const FRAME_BYTES: usize = 160;

/// Samples in a millisecond on the phone's side.
pub const SAMPLES_PER_MS: u64 = 8;

/// A mark is sent after so much audio: a finer grain costs messages, a coarser one leaves what was heard to the clock.
pub const MARK_EVERY: Duration = Duration::from_millis(500);

/// Audio that may wait to be played. An engine sends a whole answer at once, faster than it is spoken; two minutes is
/// longer than any sentence a caller would sit through. What comes beyond is dropped and journaled as a gap.
pub const PLAYOUT_QUEUED_MAX: Duration = Duration::from_secs(120);

/// Audio kept for a stream that has not started yet: a disclosure with its greeting, the longest an agent may have.
pub const GREETING_KEPT_MAX: Duration = Duration::from_secs(60);

/// With so much waiting for the stream, the next part of the opening is asked for when it has started.
pub const GREETING_AHEAD: Duration = Duration::from_secs(6);

/// A frame that is this late is replaced with silence while the caller is silent, so that the engine's own clock goes on.
pub const UPWARD_PATIENCE: Duration = Duration::from_millis(40);

/// And this late while the caller speaks: frames come in bunches, and silence put into the middle of a word is heard.
pub const UPWARD_PATIENCE_SPEAKING: Duration = Duration::from_millis(200);

/// Silence that goes up after the caller's last sound, in debt or not: the engine ends the turn by it. EVI waits 800 ms
/// unless configured otherwise; the rest is margin.
pub const TURN_END_SILENCE: Duration = Duration::from_millis(1_200);

/// Silence sent in place of missing frames in one stall. A socket silent for longer is the watchdog's business.
pub const UPWARD_FILL_MAX: Duration = Duration::from_secs(20);

/// Caller's audio kept until an engine has told what it was, the newest first to stay: a sentence on the phone lasts two
/// to four seconds, and who speaks for longer is answered by its end. It is 64 kB in the middle of a long sentence, and
/// next to nothing while the caller is silent, which is most of a call.
pub const UPWARD_KEPT_MAX: Duration = Duration::from_secs(8);

/// Audio before the first sound that belongs to it: recognisers want the beginning of a word, and what is kept for them
/// is kept by its level.
pub const RECENT_LEAD_IN: Duration = Duration::from_millis(300);

/// So much voice may be a word ("yes"); less is a click.
pub const WORD_MIN: Duration = Duration::from_millis(160);

/// Caller's audio that goes up per frame to an engine of which nobody says how much faster than real time it listens.
/// After a stall on the way a server meets twice the pace in any case.
pub const CATCH_UP_FRAMES: usize = 2;

/// After so much silence of the caller the line is between turns.
pub const QUIET_AFTER: Duration = Duration::from_millis(700);

/// From dialling an engine to its first message. A refusal comes faster; longer than this, the next engine is quicker.
pub const ENGINE_READY_WITHIN: Duration = Duration::from_millis(2_500);

/// An engine that was lost is dialled again for so long; then it is the next engine's turn.
pub const RESUME_WITHIN: Duration = Duration::from_secs(2);

/// With no other engine left, the same one is dialled for so long before the call is given up with an apology.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(15);

/// First pause between two dials; doubled each time, with jitter of a quarter.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(200);

/// Longest pause between two dials.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// With no engine and nothing playing, the caller hears a bundled line after this: the promise is 1.5 s, and the line
/// itself begins with some milliseconds of silence.
pub const LINE_AFTER: Duration = Duration::from_millis(1_200);

/// A line waits for a caller who speaks, but no longer than this: what never pauses is noise, and may hide somebody who
/// waits.
pub const LINE_YIELDS_MAX: Duration = Duration::from_secs(6);

/// An engine that owes an answer and sends none is covered with a line after this.
pub const FILLER_AFTER: Duration = Duration::from_secs(4);

/// An engine that owes an answer and sends none is given up after this.
pub const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What is louder than this is taken for speech where no engine tells. Telephone noise lies around -55, quiet speech
/// above -40.
pub const SPEECH_ABOVE_DBFS: f32 = -42.0;

/// An engine that was given up so often without a word of its own between is not dialled again.
pub const STALLS_MAX: u8 = 3;

/// Speech of the caller shorter than this is a cough, and owes no answer.
pub const SPEECH_MIN: Duration = Duration::from_millis(400);

/// A goodbye is waited for, so that it is heard, but no longer than this beyond its length.
pub const GOODBYE_WITHIN: Duration = Duration::from_secs(10);

/// The engine stopped for the caller, and no words came of it: the caller is asked after this.
pub const ASK_AFTER: Duration = Duration::from_secs(3);

/// Keys pressed without a longer pause are one input.
pub const KEYS_PAUSE: Duration = Duration::from_millis(1_500);

/// Keys of one input; a card's number has 19.
pub const KEYS_MAX: usize = 32;

/// Sentences that wait for an engine to say them.
pub const SAY_LATER_MAX: usize = 8;

/// A prepared engine whose stream never comes is let go: Twilio gives up ringing after 60 s.
pub const PREPARED_MAX: Duration = Duration::from_secs(70);

/// A disclosure or greeting that the engine has not spoken to its end by then no longer holds up what follows.
pub const OPENING_WITHIN: Duration = Duration::from_secs(5);

/// A turn's last mark may be lost; the turn is closed by the clock so much after it was due.
pub const LAST_MARK_WITHIN: Duration = Duration::from_secs(3);

/// A mark this much later than its usual lag says that the phone has not played what the clock says.
pub const MARK_OVERDUE: Duration = Duration::from_millis(500);

/// Before a session limit, a fresh session is opened at the first quiet moment from this margin on.
pub const ROLL_OVER_MARGIN: Duration = Duration::from_secs(180);

/// And at this margin in any case.
pub const ROLL_OVER_LATEST: Duration = Duration::from_secs(20);

/// A roll-over that failed is tried again after this.
pub const ROLL_OVER_AGAIN: Duration = Duration::from_secs(20);

/// EVI ends a chat after 30 minutes, whatever its configuration says (Hume: "Timeouts").
pub const HUME_SESSION_MAX: Duration = Duration::from_secs(1_800);

/// OpenAI ends a session after 60 minutes (seen as close code 1001 with that reason).
pub const OPENAI_SESSION_MAX: Duration = Duration::from_secs(3_600);

/// Marks that may be on their way back. One is sent each half second; more would mean that none returns.
pub const MARKS_MAX: usize = 256;

/// The caller is asked for patience again after so much silence while a tool runs.
pub const FILLER_AGAIN: Duration = Duration::from_secs(6);

/// So long before a node's time is over, a call looks for a quiet moment to be handed over: turns seldom last longer.
pub const HAND_OVER_LOOK: Duration = Duration::from_secs(15);

/// How often the line's figures are journaled.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Tools that may run at once; the next one is answered with an error.
pub const TOOLS_MAX: usize = 8;

/// Turns handed to an engine that takes over. An hour's call has about 300; the oldest matter least.
pub const HISTORY_MAX: usize = 300;

/// Bytes of conversation in a prompt: some 4,000 tokens, the latest turns.
pub const CONVERSATION_BYTES_MAX: usize = 16 << 10;

/// Ids of cut-off sentences that are remembered, to drop their late audio.
pub const DEAD_IDS_MAX: usize = 64;

/// Sentences of one turn. A turn that long is a runaway engine: what follows is dropped and counted.
pub const SENTENCES_MAX: usize = 200;

/// Words of one sentence whose ends are remembered: ten minutes of speech. Where later ones fall is then guessed.
pub const WORDS_MAX: usize = 2_000;

/// Bytes of one message to or from an engine. EVI's largest seen was 150 kB for 2.3 s at 24 kHz.
pub const ENGINE_MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes of one message from the phone: a frame is under 400, a start with its parameters under 8 kB.
pub const PHONE_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Bytes that are read of an answer which refuses a request: enough for any error that a vendor words.
pub const REJECTION_BYTES_MAX: usize = 64 << 10;

/// A socket of the cascade that does not open in this time is dialled anew: two tries fit into the time to come back.
pub const CASCADE_DIAL_WITHIN: Duration = Duration::from_millis(900);

/// The second pause between two dials of one socket of the cascade (the first dial is made at once); doubled each time.
pub const CASCADE_REDIAL_FIRST: Duration = Duration::from_millis(100);

/// Caller's audio that a new socket to Deepgram is sent at once: it takes audio little faster than real time, and is late
/// by what it is given.
pub const CASCADE_BACKLOG_MAX: Duration = Duration::from_secs(2);

/// Deepgram owes an update each quarter of a second of audio: after so long without one the socket is dead.
pub const CASCADE_DEAF_AFTER: Duration = Duration::from_secs(2);

/// And after so long while the caller is speaking, or has begun a turn that is not over: four updates in a row are missing,
/// and somebody will wait for an answer. A false alarm costs a new socket, which hears the last seconds again.
pub const CASCADE_DEAF_IN_SPEECH_AFTER: Duration = Duration::from_secs(1);

/// Words that a lost socket heard are the whole turn if the new one hears none within this.
pub const CASCADE_REST_OF_TURN_WITHIN: Duration = Duration::from_millis(1_200);

/// Groq's first word comes within a fraction of a second; after this the request is made anew.
pub const GROQ_FIRST_WORD_WITHIN: Duration = Duration::from_secs(2);

/// And between two words.
pub const GROQ_NEXT_WORD_WITHIN: Duration = Duration::from_secs(2);

/// Requests for one answer that may fail; the next failure gives the engine up.
pub const GROQ_FAILURES_MAX: u32 = 2;

/// A pause that Groq asks for is kept if it is no longer; else another engine is quicker.
pub const GROQ_RETRY_AFTER_MAX: Duration = Duration::from_millis(1_500);

/// Answers that came to their end and whose connection is still open, so that the next request can use it.
pub const GROQ_DRAINING_MAX: usize = 4;

/// Answers begun early in one turn of the caller: someone who pauses often is answered when they are done.
pub const CASCADE_EARLY_MAX: u32 = 3;

/// Audio of an answer begun early that is kept until the caller's turn is over. Longer, and it is begun anew then.
pub const CASCADE_EARLY_KEPT_MAX: Duration = Duration::from_secs(60);

/// Cartesia ends a context one second after its last audio; words that come later than this get a new one.
pub const CARTESIA_CONTEXT_IDLE_MAX: Duration = Duration::from_millis(600);

/// Cartesia closes a socket that was idle for five minutes; it is changed for a fresh one before.
pub const CARTESIA_IDLE_MAX: Duration = Duration::from_secs(270);

/// From words to their first audio, and from the last of one to the end: after this the context is dead.
pub const CASCADE_VOICE_WITHIN: Duration = Duration::from_millis(1_500);

/// Contexts in a row that may die without a sound; the next gives the engine up.
pub const CASCADE_VOICE_FAILURES_MAX: u32 = 2;

/// Bytes of a tool's answer in the conversation: some 2,000 tokens, of which a voice could say a fraction.
pub const TOOL_ANSWER_BYTES_MAX: usize = 8 << 10;
