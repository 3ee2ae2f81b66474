// What holds other views: see ../README.md.

public struct NavigationStack<Data, Root: View>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var root: Root

    nonisolated public init(@ViewBuilder root: () -> Root) where Data == NavigationPath {
        self.root = root()
    }

    func show(in walk: Walk) {
        walk.visit(root, as: "root")
    }
}

public struct NavigationPath {}

public struct Form<Content: View>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var content: Content

    nonisolated public init(@ViewBuilder content: () -> Content) {
        self.content = content()
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
    }
}

public struct HStack<Content: View>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var content: Content

    nonisolated public init(@ViewBuilder content: () -> Content) {
        self.content = content()
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
    }
}

public struct VStack<Content: View>: View, Shown {
    public typealias Body = Never

    nonisolated(unsafe) private var content: Content

    nonisolated public init(alignment: HorizontalAlignment = .center, @ViewBuilder content: () -> Content) {
        self.content = content()
    }

    func show(in walk: Walk) {
        walk.visit(content, as: "content")
    }
}

public struct HorizontalAlignment: Equatable, Sendable {
    private let name: String

    public static let center = HorizontalAlignment(name: "center")
    public static let leading = HorizontalAlignment(name: "leading")
}

public struct Section<Parent: View, Content: View, Footer: View>: View, Shown {
    public typealias Body = Never

    private let header: Parent
    nonisolated(unsafe) private var content: Content
    nonisolated(unsafe) private var footer: Footer

    func show(in walk: Walk) {
        add(.header, walk.words(of: header), to: walk)
        walk.visit(content, as: "content")
        add(.footer, walk.words(of: footer), to: walk)
    }

    private func add(_ kind: TestElement.Kind, _ words: String, to walk: Walk) {
        if !words.isEmpty { walk.add(TestElement(kind, words)) }
    }
}

extension Section where Parent == Text, Footer == EmptyView {
    nonisolated public init(_ titleKey: LocalizedStringKey, @ViewBuilder content: () -> Content) {
        (header, self.content, footer) = (Text(titleKey), content(), EmptyView())
    }
}

extension Section where Parent == EmptyView {
    nonisolated public init(@ViewBuilder content: () -> Content, @ViewBuilder footer: () -> Footer) {
        (header, self.content, self.footer) = (EmptyView(), content(), footer())
    }
}

public struct ForEach<Data: RandomAccessCollection, ID: Hashable, Content>: View, Shown where Content: View {
    public typealias Body = Never

    nonisolated(unsafe) public var data: Data
    nonisolated(unsafe) public var content: (Data.Element) -> Content
    nonisolated(unsafe) private var id: KeyPath<Data.Element, ID>

    nonisolated public init(
        _ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content
    ) {
        (self.data, self.id, self.content) = (data, id, content)
    }

    func show(in walk: Walk) {
        for element in data { walk.visit(content(element), as: element[keyPath: id]) }
    }
}
