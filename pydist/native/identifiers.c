/* Pid and Ref: see terms.py. Not tracked by the garbage collector, since a Pid only borrows its process: the process
 * owns the Pid, and clears `process` when it goes. */
#include "codec.h"

/* Secret, as the hashes of strings are. */
static uint64_t salts[2];

/* Peers choose numbers, creations and nodes, and must not be able to choose what falls together in a table: so the salts
 * go in where the product can't be foreseen without them. -1 with an exception. */
static Py_hash_t
hash_of(PyObject *node, PyObject *number, PyObject *creation)
{
    Py_hash_t named = PyObject_Hash(node);
    uint64_t left = PyLong_AsUnsignedLongLong(number) ^ salts[0];
    uint64_t right = (PyLong_AsUnsignedLongLong(creation) ^ salts[1]) + (uint64_t)named;
    if (named == -1 || PyErr_Occurred()) {
        return -1;
    }
    unsigned __int128 product = (unsigned __int128)left * right;
    Py_hash_t hash = (Py_hash_t)((uint64_t)product ^ (uint64_t)(product >> 64));
    return hash == -1 ? -2 : hash;
}

int
identifiers_ready(void)
{
    static const char *const words[] = {"pydist.terms.Pid", "pydist.terms.Ref"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(salts); i++) {
        PyObject *word = PyUnicode_FromString(words[i]);
        if (word == NULL) {
            return -1;
        }
        salts[i] = (uint64_t)PyObject_Hash(word);
        Py_DECREF(word);
    }
    return PyType_Ready(&PidType) < 0 ? -1 : PyType_Ready(&RefType);
}

PyObject *
identifier_make(PyTypeObject *type, PyObject *node, PyObject *number, PyObject *creation)
{
    Py_hash_t hash = hash_of(node, number, creation);
    Identifier *self = hash == -1 ? NULL : PyObject_New(Identifier, type);
    if (self == NULL) {
        return NULL;
    }
    self->node = Py_NewRef(node);
    self->number = Py_NewRef(number);
    self->creation = Py_NewRef(creation);
    self->process = NULL;
    self->hash = hash;
    return (PyObject *)self;
}

/* What is made here has them from the wire or from a counter; what a program makes by hand has to fit the wire too. */
static bool
fits_wire(PyObject *type, PyObject *number, PyObject *creation)
{
    PyLong_AsUnsignedLongLong(number); /* what it gives is of no interest, what it raises is */
    bool fits = !PyErr_Occurred() && PyLong_AsUnsignedLongLong(creation) <= UINT32_MAX;
    if (!fits) {
        PyErr_Clear();
        const char *name = strrchr(((PyTypeObject *)type)->tp_name, '.') + 1;
        PyErr_Format(PyExc_ValueError,
                     "a %s has a number of 64 bits and a creation of 32, none below 0; not %R and %R", name, number,
                     creation);
    }
    return fits;
}

static PyObject *
identifier_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (PyVectorcall_NARGS(nargsf) != 3 || kwnames != NULL) {
        PyErr_Format(PyExc_TypeError, "%s takes a node, a number and a creation", ((PyTypeObject *)type)->tp_name);
        return NULL;
    }
    if (!PyUnicode_Check(args[0]) || !PyLong_Check(args[1]) || !PyLong_Check(args[2])) {
        PyErr_Format(PyExc_TypeError, "%s takes a node (str), a number and a creation (int)",
                     ((PyTypeObject *)type)->tp_name);
        return NULL;
    }
    return fits_wire(type, args[1], args[2]) ? identifier_make((PyTypeObject *)type, args[0], args[1], args[2]) : NULL;
}

static void
identifier_dealloc(Identifier *self)
{
    Py_DECREF(self->node);
    Py_DECREF(self->number);
    Py_DECREF(self->creation);
    PyObject_Free(self);
}

static Py_hash_t
identifier_hash(Identifier *self)
{
    return self->hash;
}

static int
same(PyObject *left, PyObject *right)
{
    return left == right ? 1 : PyObject_RichCompareBool(left, right, Py_EQ);
}

static PyObject *
identifier_compare(Identifier *self, PyObject *object, int op)
{
    if ((op != Py_EQ && op != Py_NE) || Py_TYPE(object) != Py_TYPE(self)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    Identifier *other = (Identifier *)object;
    int equal = 1;
    if (self != other) {
        equal = self->hash == other->hash ? same(self->number, other->number) : 0;
        equal = equal == 1 ? same(self->node, other->node) : equal;
        equal = equal == 1 ? same(self->creation, other->creation) : equal;
    }
    return equal < 0 ? NULL : PyBool_FromLong(equal == (op == Py_EQ));
}

static PyObject *
identifier_repr(Identifier *self)
{
    return PyUnicode_FromFormat("<%s %U/%S.%S>", Py_TYPE(self) == &PidType ? "Pid" : "Ref", self->node, self->number,
                                self->creation);
}

static PyObject *
identifier_itself(PyObject *self, PyObject *Py_UNUSED(memo))
{
    return Py_NewRef(self);
}

static PyObject *
identifier_reduce(Identifier *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(OOO)", Py_TYPE(self), self->node, self->number, self->creation);
}

static PyObject *
identifier_low_half(Identifier *self, void *Py_UNUSED(closure))
{
    unsigned long long number = PyLong_AsUnsignedLongLong(self->number);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(number & 0xFFFFFFFF);
}

static PyObject *
identifier_high_half(Identifier *self, void *Py_UNUSED(closure))
{
    unsigned long long number = PyLong_AsUnsignedLongLong(self->number);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(number >> 32);
}

static PyObject *
pid_get_process(Identifier *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->process == NULL ? Py_None : self->process);
}

static int
pid_set_process(Identifier *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value != Py_None && (value == NULL || !PyObject_TypeCheck(value, &TaskStateType))) {
        PyErr_SetString(PyExc_TypeError, "the process of a Pid is a process, or None");
        return -1;
    }
    self->process = value == Py_None ? NULL : value;
    return 0;
}

static PyMethodDef identifier_methods[] = {
    {"__copy__", identifier_itself, METH_NOARGS, NULL},
    {"__deepcopy__", identifier_itself, METH_O, NULL},
    {"__reduce__", (PyCFunction)identifier_reduce, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL},
};

#define HALVES                                                                                                         \
    {"id", (getter)identifier_low_half, NULL, "The low half of the number, as Erlang's external term format has it."}, \
    {"serial", (getter)identifier_high_half, NULL, "The high half of the number, as Erlang's external term format has it."}

static PyGetSetDef ref_getset[] = {HALVES, {NULL}};

static PyGetSetDef pid_getset[] = {
    HALVES,
    {"process", (getter)pid_get_process, (setter)pid_set_process, "The process itself, while it lives, or None."},
    {NULL},
};

static PyMemberDef identifier_members[] = {
    {"node", T_OBJECT, offsetof(Identifier, node), READONLY, NULL},
    {"number", T_OBJECT, offsetof(Identifier, number), READONLY, NULL},
    {"creation", T_OBJECT, offsetof(Identifier, creation), READONLY, NULL},
    {NULL},
};

#define IDENTIFIER(name, doc, getset)                                                                                  \
    {                                                                                                                  \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = name, .tp_doc = doc, .tp_basicsize = sizeof(Identifier),              \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, .tp_dealloc = (destructor)identifier_dealloc,       \
        .tp_hash = (hashfunc)identifier_hash, .tp_richcompare = (richcmpfunc)identifier_compare,                       \
        .tp_repr = (reprfunc)identifier_repr, .tp_methods = identifier_methods, .tp_getset = getset,                     \
        .tp_members = identifier_members, .tp_new = identifier_new, .tp_vectorcall = identifier_vectorcall,                       \
    }

static PyObject *
identifier_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_Format(PyExc_TypeError, "%s takes no keywords", type->tp_name);
        return NULL;
    }
    return identifier_vectorcall((PyObject *)type, ((PyTupleObject *)args)->ob_item, PyTuple_GET_SIZE(args), NULL);
}

PyTypeObject PidType =
    IDENTIFIER("pydist.terms.Pid", "A process: the node it lives on, its number there, and that node's creation.\n\n"
    "`Pid[M]` tells type checkers that it takes messages of type `M`, as in `worker: Pid[Job | Stop] = spawn(work)`; to\n"
    "send it anything else is an error then. A plain `Pid` takes anything.",
               pid_getset);
PyTypeObject RefType =
    IDENTIFIER("pydist.terms.Ref", "A reference that is unique over the node's life: names a monitor, a call or a timer.",
               ref_getset);
