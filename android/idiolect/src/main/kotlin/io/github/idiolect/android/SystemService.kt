package io.github.idiolect.android

import android.content.Context

/** A part of the system that every Android has. */
internal inline fun <reified T : Any> Context.systemService(): T = checkNotNull(getSystemService(T::class.java))
