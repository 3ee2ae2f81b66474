extension PersonalEngine {
    /// What a training would take, before it runs: samples, steps, bytes, and seconds where this device has trained
    /// before.
    ///
    /// - Throws: an error when there is nothing to learn from, or no budget could hold it; `CancellationError`.
    public func plan(_ settings: LearnSettings = LearnSettings()) async throws -> TrainingPlan {
        try await made { engine, cancel in try engine.planTraining(settings: settings, cancel: cancel) }
    }

    /// Learns from the history: trains, measures, asks the gate. It goes on where an earlier training was paused or
    /// killed. Where nothing has changed since the last one, its report comes again.
    ///
    /// To pause it, cancel the task that reads, or leave the loop: a checkpoint is written.
    ///
    /// - Returns: a stream that throws `TrainingBusy` while another training is under way on the profile, here or in
    ///   another process, and what training, history and adapters refuse.
    public nonisolated func train(
        _ settings: LearnSettings = LearnSettings()
    ) -> AsyncThrowingStream<TrainEvent, Error> {
        calls.stream(afterLeft: true) { cancel, events in
            let listener = LearnEvents { events.yield(.progress($0)) }
            let outcome = try self.lease.use { try $0.train(settings: settings, cancel: cancel, listener: listener) }
            switch outcome {
            case .finished(let report): events.yield(.finished(report))
            case .paused(let reason): events.yield(.paused(reason))
            case .failed(let report): events.yield(.failed(report))
            }
        }
    }

    /// Has a training under way write a checkpoint now, and waits for it, as an app does that may be killed soon. The
    /// training goes on. Without one there is nothing to do.
    ///
    /// - Throws: `Io` when the disk refuses the checkpoint; the training ends with the same error.
    public func saveProgress() async throws {
        try await made { try $0.saveProgress() }
    }

    /// Attends to trainings from now on: one is begun, paused and gone on with as the rules have it, by what
    /// ``pushSignals(_:)`` tells. Attended already, it begins anew with these settings, and the stream from before is
    /// complete.
    ///
    /// It ends when the task that reads is cancelled or the stream is freed; a training under way pauses then.
    ///
    /// - Returns: a stream that throws `BadOption` for a setting out of its range, and `Closed`.
    public nonisolated func attend(_ settings: AttendSettings) -> AsyncThrowingStream<AttendEvent, Error> {
        let stream = CancelToken()
        return AsyncThrowingStream { continuation in
            continuation.onTermination = { termination in
                guard case .cancelled = termination else { return }
                stream.cancel()
                // Closed meanwhile, the engine attends no more anyway.
                self.calls.leave { try? self.lease.use { self.attending.end(stream, $0.stopAttending) } }
                continuation.finish(throwing: CancellationError())
            }
            let listener = AttendEvents(continuation)
            Task {
                do {
                    try await self.made(afterLeft: true) { engine in
                        try self.attending.begin(stream) { try engine.attend(settings: settings, listener: listener) }
                    }
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }

    /// How the attendance stands, and why a training waits.
    public nonisolated var attendance: Attendance { (try? lease.use { $0.attendance() }) ?? .off }

    /// Tells what the device says of itself now; it holds until it is told anew.
    public nonisolated func pushSignals(_ signals: DeviceSignals) {
        // Closed, nobody attends any more.
        try? lease.use { $0.pushSignals(signals: signals) }
    }

    /// How the profile stands, and what would make the next training worthwhile; `gate` is what a candidate will have
    /// to show. With `openModel` the model is opened where it is not, to say whether the version in use was made for
    /// it.
    ///
    /// - Throws: an error when the profile cannot be read, or the model not be opened.
    public func status(gate: GateSettings = GateSettings(), openModel: Bool = false) async throws -> ProfileStatus {
        try await made(afterLeft: true) { try $0.status(gate: gate, openModel: openModel) }
    }

    /// The report of the last training that came to its end; nil before the first.
    ///
    /// - Throws: an error when it cannot be read.
    public func lastReport() async throws -> LearnReport? {
        try await made(afterLeft: true) { try $0.lastReport() }
    }

    /// Whether a training was paused or killed, so that ``train(_:)`` goes on with it.
    ///
    /// - Throws: an error when the folder cannot be read.
    public func hasPausedTraining() async throws -> Bool {
        try await made(afterLeft: true) { try $0.hasPausedTraining() }
    }

    /// The version in use, where it was made for another base than the engine's model: then the base alone answers
    /// until a training has made a version of this one, or one is put to use.
    ///
    /// - Throws: an error when the model cannot be opened, or the registry not be read.
    public func staleVersion() async throws -> UInt32? {
        try await made { try $0.staleVersion() }
    }
}
