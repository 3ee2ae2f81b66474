import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import org.junit.Test
import org.w3c.dom.Element
import org.w3c.dom.NodeList

/** What the sample app lets the system take along: nothing. */
class BackupTest {
    @Test
    fun `every domain is excluded, from each kind of backup`() {
        for ((file, section) in listOf(
            "data_extraction_rules" to "cloud-backup",
            "data_extraction_rules" to "device-transfer",
            "backup_rules" to "full-backup-content",
        )) {
            val rules = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(File("android/sample/src/main/res/xml/$file.xml"))
            val parts = rules.getElementsByTagName(section).elements().single().getElementsByTagName("*").elements()
            same("$section excludes", DOMAINS.map { Triple("exclude", it, ".") }.toSet(), parts.map(::rule).toSet())
        }
    }

    private fun rule(part: Element) = Triple(part.tagName, part.getAttribute("domain"), part.getAttribute("path"))

    private fun NodeList.elements() = (0 until length).map { item(it) as Element }

    private companion object {
        /** Those that Android's `BackupAgent` goes through one by one. */
        val DOMAINS = listOf("root", "file", "database", "sharedpref").flatMap { listOf(it, "device_$it") } + "external"
    }
}
