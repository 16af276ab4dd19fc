/* A file system that lacks what NODIRSYNC and NOLOCK name. Loaded by tests/outputs/file_system.rs. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static long (*real(void))(long, ...) {
    return (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

/* As SMB shares and VirtualBox folders answer. */
int fsync(int fd) {
    struct stat file;
    if (getenv("NODIRSYNC") && fstat(fd, &file) == 0 && S_ISDIR(file.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return (int)real()(SYS_fsync, (long)fd);
}

/* As NFS without a lock daemon answers. */
int flock(int fd, int operation) {
    if (getenv("NOLOCK")) {
        errno = ENOLCK;
        return -1;
    }
    return (int)real()(SYS_flock, (long)fd, (long)operation);
}

/* redb's byte-range locks. */
long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    int locks = a[1] == F_OFD_SETLK || a[1] == F_OFD_SETLKW || a[1] == F_OFD_GETLK;
    if (getenv("NOLOCK") && number == SYS_fcntl && locks) {
        errno = ENOLCK;
        return -1;
    }
    return real()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
