import io.github.idiolect.*
import org.junit.jupiter.api.Test

/** The rules by which trainings may run. */
class PolicyTest {
    private val calm = DeviceSignals(
        charging = true, battery = 0.8f, idle = true, thermal = 0.2f, lowPower = false,
        freeMemory = 2uL shl 30, foreground = false, localMinute = 120u, minutesToday = 3f,
    )
    private val night = defaultPolicy().copy(window = TimeWindow(1320u, 360u))

    @Test
    fun `says when training may run, and why not`() {
        val (start, run) = TrainingPhase.STARTING to TrainingPhase.RUNNING
        val cases = listOf(
            Triple(calm, start, listOf()),
            Triple(calm.copy(charging = false), start, listOf(PolicyRule.CHARGING)),
            Triple(calm.copy(charging = false, idle = false), run, listOf(PolicyRule.CHARGING, PolicyRule.IDLE)),
            Triple(calm.copy(battery = 0.25f), start, listOf(PolicyRule.BATTERY)),
            Triple(calm.copy(battery = 0.25f), run, listOf()),
            Triple(calm.copy(thermal = 0.9f), run, listOf(PolicyRule.THERMAL)),
            Triple(calm.copy(lowPower = true), start, listOf(PolicyRule.LOW_POWER)),
            Triple(calm.copy(freeMemory = 1uL shl 20), start, listOf(PolicyRule.MEMORY)),
            Triple(calm.copy(localMinute = 720u), start, listOf(PolicyRule.TIME_WINDOW)),
            Triple(calm.copy(minutesToday = 30f), run, listOf(PolicyRule.DAILY_MINUTES)),
            Triple(DeviceSignals(), start, listOf()),
        )
        for ((signals, phase, rules) in cases) {
            val decision = decideTraining(signals, night, phase)
            val verdict = when {
                rules.isEmpty() -> PolicyVerdict.RUN
                phase == run -> PolicyVerdict.PAUSE
                else -> PolicyVerdict.WAIT
            }
            same("decision on $signals", verdict to rules, decision.verdict to decision.reasons.map { it.rule })
            check(decision.reasons.all { it.words.isNotBlank() })
        }
    }

    @Test
    fun `explains every rule`() {
        val off = explainTraining(calm, alwaysPolicy(), TrainingPhase.STARTING)
        same("rules", PolicyRule.entries - PolicyRule.OTHER, off.map { it.rule })
        check(off.all { it.standing == Standing.OFF && it.words.isNotBlank() }) { "$off" }
    }

    @Test
    fun `what is unknown, and what is out of range`() {
        val strict = defaultPolicy().copy(allowUnknown = false)
        same("unknown", PolicyVerdict.WAIT, decideTraining(DeviceSignals(), strict, TrainingPhase.STARTING).verdict)
        val wrong = defaultPolicy().copy(batteryToStart = 30f)
        try {
            decideTraining(calm, wrong, TrainingPhase.STARTING)
        } catch (refused: EngineException.BadOption) {
            check("battery_to_start" in refused.detail) { refused.detail }
            return
        }
        error("no error")
    }
}
