package io.github.idiolect.android

import android.content.Context
import android.os.UserManager

/**
 * Whether what belongs to the person can be reached: not before the first unlock after a restart, when the app's storage
 * and the profile's key are closed. A keyboard runs then already if its service is `directBootAware`: it types without the
 * engine, and opens it once `Intent.ACTION_USER_UNLOCKED` arrives.
 */
public val Context.isPersonReachable: Boolean
    get() = systemService<UserManager>().isUserUnlocked
