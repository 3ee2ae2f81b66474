package io.github.idiolect.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.UserManager
import kotlinx.coroutines.CompletableDeferred

/**
 * Whether what belongs to the person can be reached: not before the first unlock after a restart, when the app's storage
 * and the profile's key are closed. A keyboard runs then already if its service is `directBootAware`:
 * [DirectBootSuggestions] gives it words till then, and [awaitPerson] says when the person's own engine can be opened.
 */
public val Context.isPersonReachable: Boolean
    get() = systemService<UserManager>().isUserUnlocked

/** Waits for the first unlock after a restart; after it, it returns at once. */
public suspend fun Context.awaitPerson() {
    if (isPersonReachable) return
    val unlocked = CompletableDeferred<Unit>()
    val receiver = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) {
            unlocked.complete(Unit)
        }
    }
    // The application's, which no service's end takes it from.
    val application = applicationContext
    application.registerReceiver(receiver, IntentFilter(Intent.ACTION_USER_UNLOCKED))
    try {
        // It may have come before the receiver was there.
        if (!isPersonReachable) unlocked.await()
    } finally {
        application.unregisterReceiver(receiver)
    }
}
