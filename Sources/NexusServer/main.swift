import Glibc

exit(runNexusCache(CommandLine.arguments.dropFirst().map { $0 }))
