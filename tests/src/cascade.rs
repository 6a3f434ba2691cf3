//! The cascade's three vendors, simulated: Deepgram hears, Groq answers, Cartesia speaks.

use sim::cartesia::{self, Cartesia, CartesiaConfig};
use sim::deepgram::{self, Deepgram, DeepgramConfig};
use sim::evi::fault::Faults;
use sim::groq::{self, GroqConfig};
use sim::line::server::Handle;

/// Audio that the simulated Deepgram keeps of a stream: ten minutes.
const KEPT_BYTES: usize = 600 * 8_000;

/// The three vendors, and what goes wrong with each.
pub struct CascadeOptions {
    /// Deepgram Flux.
    pub deepgram: (DeepgramConfig, Faults),
    /// Groq.
    pub groq: (GroqConfig, Faults),
    /// Cartesia.
    pub cartesia: (CartesiaConfig, Faults),
}

impl Default for CascadeOptions {
    /// Nothing goes wrong, and what is heard is kept.
    fn default() -> Self {
        Self {
            deepgram: (DeepgramConfig { keep_audio: KEPT_BYTES, ..DeepgramConfig::default() }, Faults::none()),
            groq: (GroqConfig::default(), Faults::none()),
            cartesia: (CartesiaConfig::default(), Faults::none()),
        }
    }
}

impl CascadeOptions {
    pub(crate) async fn start(self, seed: u64) -> std::io::Result<Cascade> {
        Ok(Cascade {
            deepgram: deepgram::start(self.deepgram.0, self.deepgram.1, seed).await?,
            groq: groq::server::start(self.groq.0, self.groq.1, seed).await?,
            cartesia: cartesia::start(self.cartesia.0, self.cartesia.1, seed).await?,
        })
    }
}

/// The three vendors, while they run.
pub struct Cascade {
    /// Deepgram Flux.
    pub deepgram: Handle<Deepgram>,
    /// Groq.
    pub groq: groq::server::Handle,
    /// Cartesia.
    pub cartesia: Handle<Cartesia>,
}

impl Cascade {
    /// Where each answers, by the beginning of its variables.
    pub(crate) fn urls(&self) -> [(&'static str, &str); 3] {
        [("DEEPGRAM", &self.deepgram.url), ("GROQ", &self.groq.url), ("CARTESIA", &self.cartesia.url)]
    }

    /// What the only stream to Deepgram brought.
    ///
    /// # Panics
    /// There was none, or there were several.
    #[must_use]
    pub fn heard(&self) -> deepgram::Record {
        let records =
            self.deepgram.with_model(|model| model.records().map(|(_, record)| record.clone()).collect::<Vec<_>>());
        let [record] = records.as_slice() else { panic!("there were {} streams to Deepgram", records.len()) };
        record.clone()
    }

    /// What Cartesia was made to speak, in order, over all sockets, without what was cancelled.
    #[must_use]
    pub fn spoken(&self) -> Vec<cartesia::Spoken> {
        self.cartesia.with_model(|model| {
            let kept = |record: &cartesia::Record| {
                let spoken = record.spoken.iter().filter(|spoken| !record.cancelled.contains(&spoken.context_id));
                spoken.cloned().collect::<Vec<_>>()
            };
            model.records().flat_map(|(_, record)| kept(record)).collect()
        })
    }

    /// What any of the three holds against us.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut found = self
            .deepgram
            .with_model(|model| model.records().flat_map(|(_, record)| record.errors.clone()).collect::<Vec<_>>());
        found.extend(
            self.cartesia
                .with_model(|model| model.records().flat_map(|(_, record)| record.errors.clone()).collect::<Vec<_>>()),
        );
        found
    }
}
