import Testing

/// Every suite of the package: one test at a time, for they measure how long calls take.
@Suite(.serialized)
enum OneByOne {}
