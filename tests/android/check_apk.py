#!/usr/bin/env python3
"""Checks what an APK of the sample says of itself: its processes, what it asks for, what it never may."""

import re
import subprocess
import sys


def check(holds, what):
    if not holds:
        sys.exit(f"check_apk: {what}")


apk = sys.argv[1]
tree = subprocess.run(["aapt", "dump", "xmltree", apk, "AndroidManifest.xml"], check=True, text=True, capture_output=True).stdout
said = subprocess.run(["aapt", "dump", "badging", apk], check=True, text=True, capture_output=True).stdout
parts = {}
for element in re.split(r"\n(?= *E: )", tree):
    kind = re.match(r" *E: ([\w-]+)", element)
    name = re.search(r'A: android:name\([^)]*\)="([^"]*)"', element)
    if kind and name:
        parts.setdefault(kind[1], {})[name[1]] = element

package = "io.github.idiolect.sample"
check(re.search(r"^sdkVersion:'26'", said, re.M), "another minSdk")
check(re.search(r"^targetSdkVersion:'35'", said, re.M), "another targetSdk")
check(set(parts["uses-permission"]) == {"android.permission.RECEIVE_BOOT_COMPLETED"}, f"permissions: {set(parts['uses-permission'])}")
keyboard = parts["service"][f"{package}.KeyboardService"] if f"{package}.KeyboardService" in parts["service"] else parts["service"][".KeyboardService"]
for wanted in ("android.permission.BIND_INPUT_METHOD", '":keyboard"', "android:directBootAware"):
    check(wanted in keyboard, f"the keyboard's service has no {wanted}")
job = next(text for name, text in parts["service"].items() if name.endswith(".TrainingJob"))
check("android.permission.BIND_JOB_SERVICE" in job and "android:process" not in job, "the job's service")
check("native-code" not in said, "native code where none was built")
dexes = subprocess.run(["dexdump", "-f", apk], check=True, text=True, capture_output=True).stdout
for kept in ("Lio/github/idiolect/UniffiLib;", "Lcom/sun/jna/Native;", "Lio/github/idiolect/sample/KeyboardService;"):
    check(kept in dexes, f"{kept} is not in it")
print(f"{apk}: manifest and classes as they should be; no native library for Android, which takes an NDK")
