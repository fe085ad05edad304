/* Bytes that come into being, and the heads that msgpack gives to what has a length. */
#include "codec.h"

/* Larger terms double their place; a payload that needs more than that gets just what it needs, and is copied once. */
int
writer_grow(Writer *writer, size_t size)
{
    unsigned char *start = writer->grown == NULL ? writer->small : (unsigned char *)PyBytes_AS_STRING(writer->grown);
    size_t used = (size_t)(writer->at - start), room = 2 * (size_t)(writer->end - start);
    if (size > (size_t)PY_SSIZE_T_MAX / 2 - used) {
        PyErr_NoMemory();
        return -1;
    }
    if (used + size > room) {
        room = used + size + SMALL;
    }
    if (writer->grown == NULL) {
        writer->grown = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
        if (writer->grown != NULL) {
            memcpy(PyBytes_AS_STRING(writer->grown), writer->small, used);
        }
    }
    else {
        _PyBytes_Resize(&writer->grown, (Py_ssize_t)room);
    }
    if (writer->grown == NULL) {
        writer_begin(writer);
        return -1;
    }
    start = (unsigned char *)PyBytes_AS_STRING(writer->grown);
    writer->at = start + used;
    writer->end = start + room;
    return 0;
}

/* What was written, as a new reference. */
PyObject *
writer_finish(Writer *writer)
{
    if (writer->grown == NULL) {
        return PyBytes_FromStringAndSize((char *)writer->small, writer->at - writer->small);
    }
    PyObject *data = writer->grown;
    writer->grown = NULL;
    _PyBytes_Resize(&data, writer->at - (unsigned char *)PyBytes_AS_STRING(data));
    return data;
}

/* The head of what has `size` bytes or items. Below `wide` it is in `fixed` itself, otherwise it follows in 2 or 4 bytes
 * behind `first` or the byte after it. */
int
write_sized(Writer *writer, int first, int fixed, size_t size, size_t wide)
{
    if (writer_need(writer, 5) < 0) {
        return -1;
    }
    if (size < wide) {
        *writer->at++ = (unsigned char)(fixed | (int)size);
        return 0;
    }
    if (size > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "more than 2**32-1 bytes or items");
        return -1;
    }
    int bytes = size > UINT16_MAX ? 4 : 2;
    *writer->at = (unsigned char)(bytes == 4 ? first + 1 : first);
    store(writer->at + 1, size, bytes);
    writer->at += 1 + bytes;
    return 0;
}

/* Strings, binaries and extensions have a form with one byte for their length, just before the others. */
static int
write_short(Writer *writer, int first, size_t size)
{
    if (writer_need(writer, 2) < 0) {
        return -1;
    }
    *writer->at++ = (unsigned char)first;
    *writer->at++ = (unsigned char)size;
    return 0;
}

int
write_extension(Writer *writer, int code, size_t size)
{
    static const unsigned char fixed[] = {[1] = 0xD4, [2] = 0xD5, [4] = 0xD6, [8] = 0xD7, [16] = 0xD8};
    if (writer_need(writer, 6) < 0) {
        return -1;
    }
    if (size < sizeof fixed && fixed[size] != 0) {
        *writer->at++ = fixed[size];
    }
    else if ((size <= UINT8_MAX ? write_short(writer, 0xC7, size) : write_sized(writer, 0xC8, 0, size, 0)) < 0) {
        return -1;
    }
    *writer->at++ = (unsigned char)code;
    return 0;
}

static int
write_raw(Writer *writer, const char *data, size_t size)
{
    if (writer_need(writer, size) < 0) {
        return -1;
    }
    memcpy(writer->at, data, size);
    writer->at += size;
    return 0;
}

int
write_bytes(Writer *writer, const char *data, Py_ssize_t length)
{
    size_t size = (size_t)length;
    int done = size <= UINT8_MAX ? write_short(writer, 0xC4, size) : write_sized(writer, 0xC5, 0, size, 0);
    return done < 0 ? -1 : write_raw(writer, data, size);
}

int
write_text(Writer *writer, PyObject *text)
{
    Py_ssize_t length;
    const char *data = PyUnicode_AsUTF8AndSize(text, &length);
    if (data == NULL) {
        return -1;
    }
    size_t size = (size_t)length;
    int done = size > 31 && size <= UINT8_MAX ? write_short(writer, 0xD9, size)
                                              : write_sized(writer, 0xDA, 0xA0, size, 32);
    return done < 0 ? -1 : write_raw(writer, data, size);
}
