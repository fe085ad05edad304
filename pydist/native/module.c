#include "native.h"

PyObject *park, *next_turn, *missing, *normal, *not_in_process, *union_type, *relations_class, *down_class, *raise_exit,
    *send_slowly, *current_tasks, *swap_current_task;

/* Raised with every change that both twins must know of: speedups.py leaves a twin of another version aside. */
enum { VERSION = 6 };

/* The objects that both twins share: sentinels, and what only Python can say. */
static PyObject *
native_connect(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static const struct {
        const char *name;
        PyObject **kept;
    } known[] = {
        {"park", &park},
        {"next_turn", &next_turn},
        {"missing", &missing},
        {"normal", &normal},
        {"not_in_process", &not_in_process},
        {"union_type", &union_type},
        {"relations_class", &relations_class},
        {"down_class", &down_class},
        {"raise_exit", &raise_exit},
        {"send_slowly", &send_slowly},
        {"current_tasks", &current_tasks},
        {"swap_current_task", &swap_current_task},
    };
    if (PyTuple_GET_SIZE(args) > 0) {
        PyErr_SetString(PyExc_TypeError, "connect takes keywords alone");
        return NULL;
    }
    Py_ssize_t taken = 0;
    for (size_t i = 0; kwargs != NULL && i < Py_ARRAY_LENGTH(known); i++) {
        PyObject *given = PyDict_GetItemString(kwargs, known[i].name);
        if (given != NULL) {
            Py_XSETREF(*known[i].kept, Py_NewRef(given));
            taken++;
        }
    }
    if (kwargs != NULL && taken != PyDict_GET_SIZE(kwargs)) {
        PyErr_Format(PyExc_TypeError, "connect knows only some of %R", kwargs);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The first lines of what messaging.py says. */
PyDoc_STRVAR(send_doc, "send($module, target, message, *, priority=False)\n--\n\n"
                       "Send `message` to a pid, an alias, a name or (name, node); returns at once (Erlang's `!`).");
PyDoc_STRVAR(receive_doc, "receive($module, pattern=None, timeout=None)\n--\n\n"
                          "Await it: take the first message that matches, and wait for one if there is none\n"
                          "(Erlang's `receive ... after`). The pattern is a type, a union or tuple of types, a Ref or a\n"
                          "predicate; the timeout is in seconds, and raises TimeoutError.");

static PyMethodDef native_methods[] = {
    {"connect", (PyCFunction)(void (*)(void))native_connect, METH_VARARGS | METH_KEYWORDS, NULL},
    {"current", native_current, METH_NOARGS, "The process that runs. Raises NotInProcess."},
    {"acting", native_acting, METH_NOARGS, "The process that runs, and the runtime it belongs to. Raises NotInProcess."},
    {"send", (PyCFunction)(void (*)(void))native_send, METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"receive", (PyCFunction)(void (*)(void))native_receive, METH_FASTCALL | METH_KEYWORDS, receive_doc},
    {NULL},
};

static struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pydist._native",
    .m_doc = "The C twin of the run queue, the mailbox, and what stands between: see native.h.",
    .m_size = -1,
    .m_methods = native_methods,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    const char *pure = getenv("PYDIST_PURE");
    if (pure != NULL && *pure != '\0') {
        PyErr_SetString(PyExc_ImportError, "PYDIST_PURE is set: pydist runs without its C twin");
        return NULL;
    }
    PyTypeObject *types[] = {&PidType, &RefType, &MailboxType, &InitializerType, &ProcessTableType,
                             &RelationTablesType};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(types); i++) {
        if (PyType_Ready(types[i]) < 0) {
            return NULL;
        }
    }
    if (monitors_ready() < 0 || process_ready() < 0 || runqueue_ready() < 0 || messaging_ready() < 0) {
        return NULL;
    }
    PyTypeObject *shown[] = {&PidType, &RefType, &MailboxType, &TaskStateType, &RunQueueType, &InitializerType,
                             &ProcessTableType, &RelationTablesType};
    PyObject *module = PyModule_Create(&native_module);
    if (module == NULL || PyModule_AddIntConstant(module, "VERSION", VERSION) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(shown); i++) {
        if (PyModule_AddType(module, shown[i]) < 0) {
            return NULL;
        }
    }
    return module;
}
