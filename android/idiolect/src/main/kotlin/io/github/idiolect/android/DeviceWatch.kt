package io.github.idiolect.android

import android.app.ActivityManager
import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.Handler
import android.os.HandlerThread
import android.os.PowerManager
import io.github.idiolect.DeviceSignals

/**
 * Watches what the training policy goes by, and tells [push] at once and whenever it changes: the charger, the battery, the
 * screen, power saving; heat and free memory every half minute. `DeviceWatch(context, push = engine::pushSignals)` keeps an engine
 * that attends to trainings informed. It watches on a thread of its own until it is closed.
 *
 * It needs no permission. A signal that the system does not tell is left open, and the policy says what that means.
 *
 * @param idle whether nobody uses the device, where something says so that knows better than the screen, which a screen saver
 *   or a dock keeps on: the system, in a job that waits for an idle device.
 */
public class DeviceWatch(
    context: Context,
    private val idle: Boolean? = null,
    private val push: (DeviceSignals) -> Unit,
) : AutoCloseable {
    private val context = context.applicationContext
    private val power = context.systemService<PowerManager>()
    private val activities = context.systemService<ActivityManager>()
    private val thread = HandlerThread("idiolect-device").apply { start() }
    private val handler = Handler(thread.looper)

    private val receiver = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) = tell()
    }

    private val tick = object : Runnable {
        override fun run() {
            tell()
            handler.postDelayed(this, TICK_MS)
        }
    }

    init {
        this.context.registerReceiver(receiver, CHANGES, null, handler)
        handler.postDelayed(tick, TICK_MS)
        tell()
    }

    /** The state of the device now. */
    public fun signals(): DeviceSignals {
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        return DeviceSignals(
            charging = battery?.let(::isPowered),
            battery = battery?.let(::charge),
            idle = idle ?: !power.isInteractive,
            thermal = heat(),
            lowPower = power.isPowerSaveMode,
            freeMemory = freeMemory(),
            foreground = isForeground(),
        )
    }

    /** Watches no more. */
    override fun close() {
        context.unregisterReceiver(receiver)
        thread.quit()
    }

    private fun tell() = push(signals())

    /** Plugged in, even where the system holds the battery below full to spare it. */
    private fun isPowered(battery: Intent) = battery.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0 ||
        !battery.getBooleanExtra(BatteryManager.EXTRA_PRESENT, true)

    private fun charge(battery: Intent): Float? {
        val level = battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1)
        val scale = battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1)
        return if (level < 0 || scale <= 0) null else level.toFloat() / scale
    }

    /** The headroom ten seconds ahead; where the system measures none, its status, of which SEVERE is a headroom of 1. */
    private fun heat(): Float? {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val headroom = power.getThermalHeadroom(FORECAST_SECONDS)
            if (!headroom.isNaN()) return headroom
        }
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        return when (power.currentThermalStatus) {
            PowerManager.THERMAL_STATUS_NONE -> null
            PowerManager.THERMAL_STATUS_LIGHT -> 0.8f
            PowerManager.THERMAL_STATUS_MODERATE -> 0.9f
            else -> 1f
        }
    }

    /** What can be taken before the system begins to end processes. */
    private fun freeMemory(): ULong {
        val memory = ActivityManager.MemoryInfo().also(activities::getMemoryInfo)
        return (memory.availMem - memory.threshold).coerceAtLeast(0).toULong()
    }

    private fun isForeground(): Boolean {
        val process = ActivityManager.RunningAppProcessInfo().also(ActivityManager::getMyMemoryState)
        return process.importance <= ActivityManager.RunningAppProcessInfo.IMPORTANCE_FOREGROUND
    }

    private companion object {
        const val TICK_MS = 30_000L
        const val FORECAST_SECONDS = 10

        val CHANGES = IntentFilter().apply {
            addAction(Intent.ACTION_BATTERY_CHANGED)
            addAction(Intent.ACTION_POWER_CONNECTED)
            addAction(Intent.ACTION_POWER_DISCONNECTED)
            addAction(Intent.ACTION_SCREEN_ON)
            addAction(Intent.ACTION_SCREEN_OFF)
            addAction(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED)
        }
    }
}
