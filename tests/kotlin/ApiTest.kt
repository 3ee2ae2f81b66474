import java.io.File
import kotlin.metadata.ClassKind
import kotlin.metadata.KmClass
import kotlin.metadata.KmDeclarationContainer
import kotlin.metadata.Visibility
import kotlin.metadata.jvm.KotlinClassMetadata
import kotlin.metadata.jvm.fieldSignature
import kotlin.metadata.jvm.getterSignature
import kotlin.metadata.jvm.setterSignature
import kotlin.metadata.jvm.signature
import kotlin.metadata.kind
import kotlin.metadata.visibility
import org.junit.jupiter.api.Test

/**
 * The public surface is the one that is written down, so that a change that breaks an app shows in what is reviewed.
 * With `IDIOLECT_WRITE_API` in the environment it is written anew.
 */
class ApiTest {
    private val written = File("android/idiolect/api.txt")

    @Test
    fun `the public surface is the one that is written down`() {
        val surface = compiled().flatMap(::described).sorted().joinToString("") { "$it\n" }
        if (System.getenv("IDIOLECT_WRITE_API") != null) written.writeText(surface)
        val (before, now) = written.readLines().toSet() to surface.lines().filter { it.isNotEmpty() }.toSet()
        check(before == now) {
            "gone: ${before - now}\nnew: ${now - before}\nIDIOLECT_WRITE_API=1 tests/run kotlin writes it down"
        }
    }

    /** The classes of facade and bindings, but for what the bindings have for their own use. */
    private fun compiled(): List<Class<*>> =
        System.getProperty("java.class.path").split(File.pathSeparator).map(::File)
            .filter { it.name == "facade" || it.name == "bindings" }
            .flatMap { folder -> folder.walk().filter { it.extension == "class" }.map { it.relativeTo(folder).path } }
            .map { it.removeSuffix(".class").replace(File.separatorChar, '.') }
            .filterNot { OWN.containsMatchIn(it.substringAfterLast('.')) }
            .map { Class.forName(it, false, javaClass.classLoader) }

    private fun described(found: Class<*>): List<String> {
        val metadata = found.getAnnotation(Metadata::class.java) ?: return emptyList()
        return when (val read = KotlinClassMetadata.readLenient(metadata)) {
            is KotlinClassMetadata.Class -> members(read.kmClass)
            is KotlinClassMetadata.FileFacade -> declared("", read.kmPackage)
            else -> emptyList()
        }
    }

    private fun members(found: KmClass): List<String> {
        if (found.visibility != Visibility.PUBLIC) return emptyList()
        val name = found.name.removePrefix("io/github/idiolect/")
        val constructors = found.constructors.filter { it.visibility == Visibility.PUBLIC }.map { "$name ${it.signature}" }
        val entries = if (found.kind == ClassKind.ENUM_CLASS) found.kmEnumEntries.map { "$name ${it.name}" } else listOf()
        return listOf(name) + constructors + entries + declared(name, found)
    }

    private fun declared(name: String, container: KmDeclarationContainer): List<String> {
        val functions = container.functions.filter { it.visibility == Visibility.PUBLIC }.map { "$name ${it.signature}" }
        val properties = container.properties.filter { it.visibility == Visibility.PUBLIC }.map {
            val writable = if (it.setter?.visibility == Visibility.PUBLIC) it.setterSignature else null
            listOfNotNull(name, "${it.getterSignature ?: it.fieldSignature}", writable).joinToString(" ")
        }
        return (functions + properties).map { it.trim() }
    }

    private companion object {
        /** Names of the bindings' machinery, which is public for the compiler's sake alone. */
        val OWN = Regex("""^(FfiConverter|Uniffi|RustBuffer|ForeignBytes|IntegrityChecking|Disposable|NoHandle)|\$\$|\$\d""")
    }
}
