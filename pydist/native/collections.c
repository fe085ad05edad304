/* Arrays and maps, and what arrays with a head become. Nothing is believed of lengths that are more than the bytes there
 * are. */
#include "codec.h"

static PyObject *str_fields, *str_tag;

static PyObject *
nests_too_deep(void)
{
    PyErr_SetNone(too_deep);
    return NULL;
}

/* One more array or map; false with an exception where it is one too many. */
static bool
count_container(Reader *reader)
{
    if (++reader->containers > most_containers(reader->size) + MORE_CONTAINERS) {
        PyErr_SetString(decode_error, "too many arrays and maps for its size");
        return false;
    }
    return true;
}

/* -- lengths */

/* `*size`, of `bytes` bytes; false where they are not there. */
bool
read_size(Reader *reader, int bytes, size_t *size)
{
    if (bytes_left(reader) < (size_t)bytes) {
        return false;
    }
    *size = (size_t)load(reader->at, bytes);
    reader->at += bytes;
    return true;
}

/* Past the head of an extension, which `reader` is at; false where there is none, or it is cut short. */
bool
read_extension_head(Reader *reader, int *code, size_t *size)
{
    int first = *reader->at++;
    if (first >= 0xD4 && first <= 0xD8) {
        *size = (size_t)1 << (first - 0xD4);
    }
    else if (first < 0xC7 || first > 0xC9 || !read_size(reader, 1 << (first - 0xC7), size)) {
        return false;
    }
    if (bytes_left(reader) < 1 || bytes_left(reader) - 1 < *size) {
        return false;
    }
    *code = (signed char)*reader->at++;
    return true;
}

bool
is_head(int code)
{
    return code >= TUPLE && code <= MESSAGE;
}

bool
at_head(const Reader *reader)
{
    Reader ahead = *reader;
    int code;
    size_t size;
    return bytes_left(reader) > 0 && *reader->at >= 0xC7 && read_extension_head(&ahead, &code, &size) && is_head(code);
}

int
read_array_head(Reader *reader, size_t *count)
{
    Reader ahead = *reader;
    int first = bytes_left(reader) > 0 ? *ahead.at++ : 0;
    if (first >= 0x90 && first <= 0x9F) {
        *count = (size_t)(first & 0x0F);
    }
    else if ((first != 0xDC && first != 0xDD) || !read_size(&ahead, first == 0xDC ? 2 : 4, count)) {
        return 0;
    }
    *reader = ahead;
    return 1;
}

bool
can_hold(const Reader *reader, size_t count, size_t bytes)
{
    size_t most = reader->size / bytes;
    if (count > most) {
        PyErr_Format(PyExc_ValueError, "%zu exceeds max_%s_len(%zu)", count, bytes == 1 ? "array" : "map", most);
        return false;
    }
    return count <= bytes_left(reader) / bytes || cut_short() != NULL;
}

/* -- hashes */

/* Whether a peer can't choose the hash, or finds few values with the same one. */
static bool
is_safe(PyObject *key)
{
    PyTypeObject *kind = Py_TYPE(key);
    if (kind == &PyLong_Type) {
        int overflow;
        PyLong_AsLongLongAndOverflow(key, &overflow);
        return overflow == 0;
    }
    return kind == &PyUnicode_Type || kind == &PyBytes_Type || kind == &PyFloat_Type || kind == &PidType ||
           kind == &RefType || (PyObject *)kind == atom_class || (PyObject *)kind == alias_class;
}

/* Count the hash of a key in `*seen`, a dict of counts that is made when it is needed; -1 with an exception where it is
 * one too many. */
static int
count_hash(PyObject **seen, PyObject *key)
{
    if (is_safe(key)) {
        return 0;
    }
    if (*seen == NULL && (*seen = PyDict_New()) == NULL) {
        return -1;
    }
    Py_hash_t value = PyObject_Hash(key);
    PyObject *hash = value == -1 ? NULL : PyLong_FromSsize_t(value);
    PyObject *known = hash == NULL ? NULL : PyDict_GetItemWithError(*seen, hash);
    long count = known == NULL ? 1 : PyLong_AsLong(known) + 1;
    PyObject *next = PyErr_Occurred() ? NULL : PyLong_FromLong(count);
    int done = next == NULL ? -1 : PyDict_SetItem(*seen, hash, next);
    Py_XDECREF(hash);
    Py_XDECREF(next);
    if (done == 0 && count > SAME_HASH) {
        PyErr_SetString(decode_error, "more than 64 keys of a map or members of a set have the same hash");
        return -1;
    }
    return done;
}

static bool
hashes_differ(PyObject *list)
{
    PyObject *seen = NULL;
    int done = 0;
    for (Py_ssize_t i = 0; done == 0 && i < PyList_GET_SIZE(list) && PyList_GET_SIZE(list) > SAME_HASH; i++) {
        done = count_hash(&seen, PyList_GET_ITEM(list, i));
    }
    Py_XDECREF(seen);
    return done == 0;
}

/* -- collections */

static PyObject *
read_short_list(Reader *reader, size_t count, int room)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = read_term(reader, room);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

PyObject *
read_list(Reader *reader, size_t count, int room)
{
    if (count <= BELIEVED) {
        return read_short_list(reader, count, room);
    }
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = read_term(reader, room);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *
read_tuple(Reader *reader, size_t count, int room)
{
    if (count > BELIEVED) {
        PyObject *list = read_list(reader, count, room);
        PyObject *tuple = list == NULL ? NULL : PyList_AsTuple(list);
        Py_XDECREF(list);
        return tuple;
    }
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; tuple != NULL && i < count; i++) {
        PyObject *item = read_term(reader, room);
        if (item == NULL) {
            Py_CLEAR(tuple);
        }
        else {
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, item);
        }
    }
    return tuple;
}

static PyObject *
read_set(Reader *reader, int code, size_t count, int room)
{
    PyObject *list = read_list(reader, count, room);
    PyObject *set = list == NULL || !hashes_differ(list) ? NULL : code == SET ? PySet_New(list) : PyFrozenSet_New(list);
    Py_XDECREF(list);
    return set;
}

/* Keys are few, and come again and again. */
static PyObject *
read_key(Reader *reader, int room)
{
    int first = bytes_left(reader) > 0 ? *reader->at : 0;
    size_t size = (size_t)(first & 0x1F);
    if (first < 0xA0 || first > 0xBF || bytes_left(reader) - 1 < size) {
        return read_term(reader, room);
    }
    const unsigned char *data = reader->at + 1;
    reader->at += 1 + size;
    return read_name(reader->decoder, data, size);
}

PyObject *
read_dict(Reader *reader, size_t count, int room)
{
    if (room == 0) {
        return nests_too_deep();
    }
    if (!can_hold(reader, count, 2) || !count_container(reader)) {
        return NULL;
    }
    PyObject *dict = PyDict_New(), *seen = NULL;
    for (size_t i = 0; dict != NULL && i < count; i++) {
        PyObject *key = read_key(reader, room - 1);
        PyObject *item = key == NULL ? NULL : read_term(reader, room - 1);
        if (item == NULL || (count > SAME_HASH && count_hash(&seen, key) < 0) || PyDict_SetItem(dict, key, item) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    Py_XDECREF(seen);
    return dict;
}

/* -- messages */

static PyObject *
opaque(PyObject *tag, PyObject *fields)
{
    PyObject *values[] = {tag, fields};
    return tag == NULL ? NULL : PyObject_Vectorcall(opaque_class, values, 2, NULL);
}

/* How many of the fields the class knows; -1 with an exception. */
static Py_ssize_t
known_fields(PyObject *class, Py_ssize_t given)
{
    PyObject *names = PyObject_GetAttr(class, str_fields);
    Py_ssize_t known = names == NULL ? -1 : PyObject_Length(names);
    Py_XDECREF(names);
    return known < given ? known : given;
}

/* Whatever a user's validator raises: the peer may have a newer class. */
static PyObject *
make_message(Decoder *decoder, PyObject *class, PyObject *fields)
{
    Py_ssize_t known = known_fields(class, PyTuple_GET_SIZE(fields));
    PyObject *message = known < 0 ? NULL : make_instance(decoder, class, ((PyTupleObject *)fields)->ob_item, known);
    if (message != NULL || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return message;
    }
    PyErr_Clear();
    PyObject *tag = PyObject_GetAttr(class, str_tag);
    message = opaque(tag, fields);
    Py_XDECREF(tag);
    return message;
}

static PyObject *
read_message(Reader *reader, PyObject *tag, size_t count, int room)
{
    PyObject *fields = tag == NULL ? NULL : read_tuple(reader, count, room);
    if (fields == NULL) {
        return NULL;
    }
    PyObject *class = PyDict_GetItemWithError(message_classes, tag), *message = NULL;
    if (class != NULL) {
        Py_INCREF(class);
        message = make_message(reader->decoder, class, fields);
        Py_DECREF(class);
    }
    else if (!PyErr_Occurred()) {
        message = opaque(tag, fields);
    }
    Py_DECREF(fields);
    return message;
}

/* The rest of an array of `count` items that begins with a head. */
static PyObject *
read_headed(Reader *reader, size_t count, int room)
{
    int code;
    size_t size;
    read_extension_head(reader, &code, &size); /* it is there: `at_head` has looked */
    const unsigned char *data = reader->at;
    reader->at += size;
    if (code == TUPLE) {
        return read_tuple(reader, count, room);
    }
    if (code != MESSAGE) {
        return read_set(reader, code, count, room);
    }
    PyObject *tag = read_name(reader->decoder, data, size);
    PyObject *message = read_message(reader, tag, count, room);
    Py_XDECREF(tag);
    return message;
}

PyObject *
read_array(Reader *reader, int room)
{
    size_t count;
    if (!read_array_head(reader, &count)) {
        return cut_short();
    }
    if (room == 0) {
        return nests_too_deep();
    }
    if (!can_hold(reader, count, 1) || !count_container(reader)) {
        return NULL;
    }
    return count > 0 && at_head(reader) ? read_headed(reader, count - 1, room - 1)
                                        : read_list(reader, count, room - 1);
}

int
collections_ready(void)
{
    str_fields = PyUnicode_InternFromString("__fields__");
    str_tag = PyUnicode_InternFromString("__tag__");
    return str_fields == NULL || str_tag == NULL ? -1 : 0;
}
