import Foundation

extension EngineError {
    /// What went wrong: a sentence without a final full stop. It names files, fields and numbers, never what a person
    /// wrote.
    public var detail: String { words.detail }

    /// What to do next, where there is something.
    public var hint: String? { words.hint }

    private var words: (detail: String, hint: String?) {
        switch self {
        case .Io(let detail, let hint), .BadFile(let detail, let hint), .Unsupported(let detail, let hint),
            .AdapterMismatch(let detail, let hint), .BadData(let detail, let hint), .NotFinite(let detail, let hint),
            .BadOption(let detail, let hint), .TooLossy(let detail, let hint), .OverBudget(let detail, let hint),
            .Device(let detail, let hint), .WrongKey(let detail, let hint), .PutBack(let detail, let hint),
            .KeyStore(let detail, let hint), .TrainingBusy(let detail, let hint), .Cancelled(let detail, let hint),
            .Suspended(let detail, let hint), .Closed(let detail, let hint), .Listener(let detail, let hint),
            .Other(let detail, let hint):
            (detail, hint)
        }
    }
}

extension EngineError: LocalizedError {
    /// What went wrong, as `detail`.
    public var errorDescription: String? { detail }

    /// What to do next, as `hint`.
    public var recoverySuggestion: String? { hint }
}
