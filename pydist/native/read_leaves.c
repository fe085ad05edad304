/* What a decoder makes of extensions and of names, and what it keeps so that it need not make them again. */
#include "codec.h"

/* -- tables */

/* Which of a table's places a key has. */
static size_t
place(const unsigned char *data, size_t size)
{
    uint64_t hash = size;
    while (size >= 8) {
        hash = (hash ^ load(data, 8)) * 0x9E3779B97F4A7C15u;
        data += 8;
        size -= 8;
    }
    hash = (hash ^ load(data, (int)size)) * 0x9E3779B97F4A7C15u;
    return (size_t)(hash >> 32);
}

static bool
spells(PyObject *name, const unsigned char *data, size_t size)
{
    return name != NULL && (size_t)PyUnicode_GET_LENGTH(name) == size && memcmp(PyUnicode_DATA(name), data, size) == 0;
}

/* A node, tag or key, as a new reference. Most of them have come before. Only ASCII is kept, which can be compared. */
PyObject *
read_name(Decoder *decoder, const unsigned char *data, size_t size)
{
    if (size > LONGEST_NAME) {
        return PyUnicode_DecodeUTF8((const char *)data, (Py_ssize_t)size, NULL);
    }
    PyObject **kept = &decoder->names[place(data, size) % NAMES];
    if (spells(*kept, data, size)) {
        return Py_NewRef(*kept);
    }
    PyObject *name = PyUnicode_DecodeUTF8((const char *)data, (Py_ssize_t)size, NULL);
    if (name != NULL && PyUnicode_IS_ASCII(name)) {
        Py_XSETREF(*kept, Py_NewRef(name));
    }
    return name;
}

/* Peers have one creation, and all their pids the same. */
static PyObject *
read_creation(Decoder *decoder, const unsigned char *data)
{
    uint32_t value = (uint32_t)load(data, 4);
    PyObject **kept = &decoder->creations[value % CREATIONS];
    if (*kept == NULL || PyLong_AsUnsignedLong(*kept) != value) {
        PyObject *creation = PyLong_FromUnsignedLong(value);
        if (creation == NULL) {
            return NULL;
        }
        Py_XSETREF(*kept, creation);
    }
    return Py_NewRef(*kept);
}

/* -- identifiers */

PyObject *
cut_short(void)
{
    PyErr_SetString(PyExc_ValueError, "Unpack failed: incomplete input");
    return NULL;
}

/* Number and creation are at `data`. Takes over the reference to `node`. */
static PyObject *
read_identifier(Decoder *decoder, PyTypeObject *type, const unsigned char *data, PyObject *node)
{
    PyObject *number = PyLong_FromUnsignedLongLong(load(data, 8)), *creation = read_creation(decoder, data + 8);
    PyObject *id = NULL;
    if (node != NULL && number != NULL && creation != NULL) {
        id = identifier_make(type, node, number, creation);
    }
    Py_XDECREF(node);
    Py_XDECREF(number);
    Py_XDECREF(creation);
    return id;
}

static PyObject *
read_alias(Decoder *decoder, const unsigned char *data, size_t size)
{
    const unsigned char *nodes = data + 25;
    size_t both = size - 25, first = data[24] < both ? data[24] : both;
    bool same = first == both;
    PyObject *pid = read_identifier(decoder, &PidType, data, read_name(decoder, nodes, first));
    PyObject *ref = pid == NULL ? NULL
                                : read_identifier(decoder, &RefType, data + 12,
                                                  read_name(decoder, same ? nodes : nodes + first,
                                                            same ? first : both - first));
    PyObject *values[] = {pid, ref};
    PyObject *alias = ref == NULL ? NULL : make_instance(decoder, alias_class, values, 2);
    Py_XDECREF(pid);
    Py_XDECREF(ref);
    return alias;
}

/* -- atoms */

/* What a weak reference refers to, as a new reference; NULL if it is gone. */
static PyObject *
alive(PyObject *weak)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *object;
    return PyWeakref_GetRef(weak, &object) == 1 ? object : NULL;
#else
    PyObject *object = PyWeakref_GetObject(weak);
    return object == Py_None ? NULL : Py_NewRef(object);
#endif
}

/* The atom in a table's place, as a new reference, or NULL if it is gone or another one. */
static PyObject *
kept_atom(PyObject *kept, PyObject *name)
{
    PyObject *atom = kept == NULL ? NULL : alive(kept);
    PyObject *own = atom == NULL ? NULL : PyObject_GetAttrString(atom, "name");
    bool same = own != NULL && (own == name || PyUnicode_Compare(own, name) == 0);
    Py_XDECREF(own);
    if (!same) {
        Py_CLEAR(atom);
    }
    return atom;
}

static PyObject *
read_atom(Decoder *decoder, const unsigned char *data, size_t size)
{
    PyObject **kept = &decoder->atoms[place(data, size) % ATOMS];
    PyObject *name = read_name(decoder, data, size);
    PyObject *atom = name == NULL ? NULL : kept_atom(*kept, name);
    if (atom == NULL && name != NULL) {
        atom = PyObject_CallOneArg(atom_class, name);
        PyObject *weak = atom == NULL ? NULL : PyWeakref_NewRef(atom, NULL);
        if (weak == NULL) {
            Py_CLEAR(atom);
        }
        else {
            Py_XSETREF(*kept, weak);
        }
    }
    Py_XDECREF(name);
    return atom;
}

/* -- all extensions that are no heads */

static PyObject *
read_other(int code, const unsigned char *data, size_t size)
{
    PyObject *arguments = Py_BuildValue("iy#", code, data, (Py_ssize_t)size);
    PyObject *value = arguments == NULL ? NULL : PyObject_CallObject(read_extension, arguments);
    Py_XDECREF(arguments);
    return value;
}

PyObject *
read_leaf(Reader *reader, int code, size_t size)
{
    const unsigned char *data = reader->at;
    reader->at += size;
    switch (code) {
    case ATOM:
        return read_atom(reader->decoder, data, size);
    case PID:
    case REF:
        return size < 12 ? cut_short()
                         : read_identifier(reader->decoder, code == PID ? &PidType : &RefType, data,
                                           read_name(reader->decoder, data + 12, size - 12));
    case ALIAS:
        return size < 25 ? cut_short() : read_alias(reader->decoder, data, size);
    default:
        return read_other(code, data, size);
    }
}

/* -- instances */

/* Who makes instances of `class`; a borrowed reference to what stays until another class takes its place. */
static Maker *
maker_of(Decoder *decoder, PyObject *class)
{
    Maker *maker = &decoder->makers[((uintptr_t)class >> 6) % CLASSES];
    if (maker->class == class) {
        return maker;
    }
    PyObject *init = PyObject_GetAttrString(class, "__init__");
    if (init == NULL) {
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)class;
    bool quick = Py_IS_TYPE(init, &InitializerType) && Py_IS_TYPE(class, &PyType_Type) &&
                 type->tp_new == PyBaseObject_Type.tp_new;
    PyObject *old_class = maker->class, *old_initializer = maker->initializer;
    maker->class = Py_NewRef(class);
    maker->initializer = quick ? Py_NewRef(init) : NULL;
    Py_XDECREF(old_class);
    Py_XDECREF(old_initializer);
    Py_DECREF(init);
    return maker;
}

/* `object.__new__` and not `tp_alloc`, which would leave the instance without its place for attributes. */
static PyObject *
make_quickly(PyTypeObject *class, PyObject *initializer, PyObject *const *values, Py_ssize_t count)
{
    PyObject *nothing = PyTuple_New(0);
    PyObject *instance = nothing == NULL ? NULL : class->tp_new(class, nothing, NULL);
    Py_XDECREF(nothing);
    if (instance != NULL && initializer_fill(initializer, instance, values, count) < 0) {
        Py_CLEAR(instance);
    }
    return instance;
}

/* `class(*values)`, without a call into Python where the class is a plain one. */
PyObject *
make_instance(Decoder *decoder, PyObject *class, PyObject *const *values, Py_ssize_t count)
{
    Maker *maker = maker_of(decoder, class);
    if (maker == NULL) {
        return NULL;
    }
    PyObject *initializer = maker->initializer;
    if (initializer == NULL || !initializer_takes(initializer, count)) {
        return PyObject_Vectorcall(class, values, (size_t)count, NULL);
    }
    /* What is made may start a garbage collection, and that a finaliser that decodes. */
    Py_INCREF(initializer);
    PyObject *instance = make_quickly((PyTypeObject *)class, initializer, values, count);
    Py_DECREF(initializer);
    return instance;
}
