//! What the library tells a developer of its work, for a listener of the app's.

use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use idiolect::{Error, ErrorKind};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::Result;

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something went another way than it was meant to.
    Warn,
    /// A stage of the work was reached.
    Info,
    /// A piece of the work was done.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

/// Hears what the library tells a developer.
#[uniffi::export(foreign)]
pub trait LogListener: Send + Sync {
    /// A part of the library (`target`) told something, in its own words and numbers. An error is ignored.
    fn on_record(&self, level: LogLevel, target: String, message: String) -> Result<()>;
}

/// Who listens, and up to which level. One for the whole process.
static LISTENER: RwLock<Option<(Level, Arc<dyn LogListener>)>> = RwLock::new(None);

/// Has `listener` hear of the library's work from now on, up to `level`: of models, devices, trainings and batches, in
/// counts, sizes and words of the library's own. Nothing of what the person wrote is ever in it. Records come on whatever
/// thread they arise on; what the listener throws is ignored. It takes the place of the one before; with none, nothing is
/// told.
///
/// # Errors
/// `BadOption` where the process has another subscriber of `tracing`, which hears all of it then.
#[uniffi::export]
pub fn set_log_listener(level: LogLevel, listener: Option<Arc<dyn LogListener>>) -> Result<()> {
    static FORWARDS: OnceLock<bool> = OnceLock::new();
    if !*FORWARDS.get_or_init(|| tracing::subscriber::set_global_default(Forwarder).is_ok()) {
        return Err(Error::new(ErrorKind::BadOption, "the process has another subscriber of tracing").into());
    }
    *LISTENER.write().unwrap_or_else(PoisonError::into_inner) = listener.map(|listener| (level.into(), listener));
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

fn heard_up_to() -> Option<Level> {
    LISTENER.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(level, _)| *level)
}

/// Hands the library's own events to the listener; spans are not told.
struct Forwarder;

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("idiolect")
            && heard_up_to().is_some_and(|level| *metadata.level() <= level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(heard_up_to().map_or(LevelFilter::OFF, LevelFilter::from_level))
    }

    fn event(&self, event: &Event<'_>) {
        // Not locked while the app is at it: it may set another listener.
        let listener = LISTENER.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, listener)) = listener {
            let mut words = Words::default();
            event.record(&mut words);
            let (level, target) = ((*event.metadata().level()).into(), event.metadata().target().to_owned());
            // The work goes on, whatever becomes of its log.
            let _ = listener.on_record(level, target, words.message + &words.fields);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as `message field=value field=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // To write to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(LogLevel, String, String)>>);

    impl LogListener for Heard {
        fn on_record(&self, level: LogLevel, target: String, message: String) -> Result<()> {
            self.0.lock().unwrap().push((level, target, message));
            Ok(())
        }
    }

    #[test]
    fn a_listener_hears_up_to_its_level_until_another_takes_its_place() {
        let home = tempfile::tempdir().unwrap();
        // By its name it is told from the models of other tests.
        let model = home.path().join("heard-of");
        std::fs::create_dir(&model).unwrap();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/assets/base")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), model.join(file.file_name())).unwrap();
        }
        // (level, whether the opening of a model is heard)
        for (level, heard) in
            [(Some(LogLevel::Info), true), (Some(LogLevel::Warn), false), (Some(LogLevel::Trace), true), (None, false)]
        {
            let listener = Arc::new(Heard::default());
            let set = level.map(|_| listener.clone() as Arc<dyn LogListener>);
            set_log_listener(level.unwrap_or(LogLevel::Trace), set).unwrap();
            drop(idiolect::Model::open(&model).unwrap());
            let records = listener.0.lock().unwrap();
            let opened: Vec<_> = records.iter().filter(|(.., message)| message.contains("heard-of")).collect();
            assert_eq!(opened.len(), usize::from(heard), "{level:?}: {records:?}");
            for (level, target, message) in opened {
                assert_eq!((*level, target.as_str()), (LogLevel::Info, "idiolect::model"));
                assert!(message.starts_with("model opened file=\"heard-of\" layers="), "{message}");
            }
        }
    }
}
