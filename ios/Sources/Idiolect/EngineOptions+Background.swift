extension EngineOptions {
    /// The same for work in the background: on the CPU, for the system refuses the GPU there, and at 0.7 of one core,
    /// for it ends a process that takes more than 0.8 over a minute.
    public func inBackground() -> EngineOptions {
        var options = self
        (options.device, options.cpuShare) = (.cpu, 0.7)
        return options
    }
}
