import Glibc

exit(runStoreBench(Array(CommandLine.arguments.dropFirst())))
