# The parts `kotlin` and `shrunk` of tests/run, which sources this.

# The facade compiled in folder $1, with what it and its tests are made of.
facade() {
  command -v java >/dev/null || packages default-jre-headless
  command -v mvn >/dev/null || packages maven
  command -v python3 >/dev/null || packages python3
  local home=$1
  if ! [ "$home/classpath" -nt tests/kotlin/pom.xml ]; then
    say "the Kotlin compiler, coroutines, JNA, JUnit and R8"
    mvn --quiet --batch-mode --file tests/kotlin/pom.xml -Dmaven.repo.local="$home/maven" \
      dependency:build-classpath -Dmdep.outputFile="$home/classpath"
  fi
  surface kotlin "$home/sources"
  say "kotlinc: the bindings"
  # They are large: compiled again only where they are others.
  if ! diff -rq "$home/sources" "$home/compiled" >/dev/null 2>&1; then
    rm -rf "$home/bindings" "$home/compiled"
    kotlinc "$home" bindings -nowarn "$home/sources"
    cp -r "$home/sources" "$home/compiled"
  fi
  say "kotlinc: the facade, where all that is public says so"
  kotlinc "$home" facade -Werror -Xexplicit-api=strict android/idiolect/src/main/kotlin/io/github/idiolect/*.kt
}

# Its tests, compiled there.
kotlin_tests() {
  say "kotlinc: the tests and the README's example"
  readme_example kotlin >"$1/Readme.kt"
  kotlinc "$1" tests -Werror "$1/Readme.kt" tests/kotlin/*.kt
}

kotlin() {
  mkdir -p "$target/kotlin"
  local home classpath
  home=$(cd "$target/kotlin" && pwd)
  facade "$home"
  kotlin_tests "$home"
  classpath=$(<"$home/classpath")
  local classes=$home/tests:$home/facade:$home/bindings:$classpath
  say "the facade on the real library"
  rm -rf "$home/reports" "$home/damaged"
  junit "$classes" "$target/debug" "$home/reports" --scan-classpath "$home/tests"
  say "a library whose cancelling does nothing: this has to fail"
  mkdir "$home/damaged"
  python3 tests/kotlin/damage.py "$target/debug/libidiolect_ffi.so" \
    uniffi_idiolect_ffi_fn_method_canceltoken_cancel "$home/damaged/libidiolect_ffi.so"
  if junit "$classes" "$home/damaged" "$home/damaged/reports" --select-method "CancellationTest#a generation()"; then
    die "the tests passed on a damaged library"
  fi
  grep -q "a generation took .* ms to end" "$home"/damaged/reports/*.xml || die "it failed for another reason"
  say "the README's example"
  rm -rf "$home/example"
  mkdir "$home/example"
  cp -r bindings/cli/assets/base "$home/example/SmolLM2-135M-Instruct.Q4_1.gguf"
  head -n 400 bindings/cli/assets/history.jsonl >"$home/example/messages.jsonl"
  local library
  library=$(cd "$target/debug" && pwd)
  (cd "$home/example" && java -Djna.library.path="$library" -cp "$classes" ReadmeKt)
}

# An app's release has other classes: R8 leaves out, inlines and renames what no rule keeps, and native code finds by name.
shrunk() {
  packages unzip zip
  mkdir -p "$target/kotlin"
  local home classpath rules=android/idiolect/consumer-rules.pro
  home=$(cd "$target/kotlin" && pwd)
  facade "$home"
  classpath=$(<"$home/classpath")
  say "kotlinc: the tests, under names that an app's classes may have"
  rm -rf "$home/plain"
  mkdir "$home/plain"
  local file
  for file in tests/kotlin/*.kt; do
    sed -E -e ':again' -e 's/(fun `\w*)[^`[:alnum:]_]/\1_/' -e 't again' -e 's/fun `(\w*)`/fun \1/' "$file" \
      >"$home/plain/$(basename "$file")"
  done
  # It compares the surface's names.
  rm "$home/plain/ApiTest.kt"
  kotlinc "$home" plain-tests -Werror "$home"/plain/*.kt
  say "R8"
  rm -rf "$home/shrunk" "$home/unruled"
  tests/kotlin/shrink "$home" "$home/shrunk" tests/kotlin/entries.pro "$rules"
  say "the facade on the real library, shrunk"
  local junit
  junit=$(tr ':' '\n' <<<"$classpath" | grep /junit-platform-console-standalone/)
  # Two tests ask for the surface's names themselves.
  junit "$home/shrunk/shrunk.jar:$junit" "$target/debug" "$home/shrunk/reports" --scan-classpath "$home/shrunk/shrunk.jar" \
    --exclude-methodname 'ErrorsTest[.#]every_case_.*' --exclude-methodname 'CallerThreadTest[.#]every_call_.*'
  say "without the library's rules: this has to fail"
  tests/kotlin/shrink "$home" "$home/unruled" tests/kotlin/entries.pro
  if junit "$home/unruled/shrunk.jar:$junit" "$target/debug" "$home/unruled/reports" --select-class FilesTest; then
    die "the tests passed without the rules that keep what native code finds by name"
  fi
  grep -q UnsatisfiedLinkError "$home"/unruled/reports/*.xml || die "it failed for another reason"
}

# Kotlin sources compiled to folder $2 of the Kotlin part's folder $1.
kotlinc() {
  local classpath
  classpath=$(<"$1/classpath")
  rm -rf "${1:?}/$2"
  mkdir -p "$1/bindings" "$1/facade"
  java -cp "$classpath" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -jvm-target 17 \
    -classpath "$1/bindings:$1/facade:$classpath" -d "$1/$2" "${@:3}"
}

# JUnit on the classes $1 and the library in folder $2, its XML to folder $3. The heap is all there from the beginning, so
# that what grows is the library's; drivers of GPUs are hidden, so that there is none where one is asked for.
junit() {
  VK_DRIVER_FILES=/nowhere __EGL_VENDOR_LIBRARY_FILENAMES=/nowhere java -Xms256m -Xmx256m -XX:+AlwaysPreTouch \
    -Djna.library.path="$2" -Didiolect.model=bindings/cli/assets/base -Didiolect.history=bindings/cli/assets/history.jsonl \
    -cp "$1" org.junit.platform.console.ConsoleLauncher execute \
    --disable-banner --disable-ansi-colors --details=tree --reports-dir "$3" "${@:4}"
}
