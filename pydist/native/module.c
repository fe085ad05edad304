#include "codec.h"

PyObject *park, *next_turn, *missing, *normal, *not_in_process, *union_type, *relations_class, *down_class, *raise_exit,
    *send_slowly, *current_tasks, *swap_current_task, *current_task;
PyObject *atom_class, *alias_class, *opaque_class, *encoded_class, *extension_class, *message_classes, *pure_encoder,
    *pure_reader, *layout_of, *read_extension, *as_decode_error, *too_deep, *format_error, *decode_error, *messages_class,
    *alias_message_class, *link_class, *monitor_class, *demonitor_class, *monitor_exit_class, *ask_class;

/* Raised with every change that both twins must know of: speedups.py leaves a twin of another version aside. */
enum { VERSION = 16 };

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
        {"current_task", &current_task},
        {"atom", &atom_class},
        {"alias", &alias_class},
        {"opaque", &opaque_class},
        {"message_classes", &message_classes},
        {"encoded", &encoded_class},
        {"extension", &extension_class},
        {"pure_encoder", &pure_encoder},
        {"layout_of", &layout_of},
        {"read_extension", &read_extension},
        {"as_decode_error", &as_decode_error},
        {"too_deep", &too_deep},
        {"format_error", &format_error},
        {"decode_error", &decode_error},
        {"pure_reader", &pure_reader},
        {"messages", &messages_class},
        {"alias_message", &alias_message_class},
        {"link", &link_class},
        {"monitor", &monitor_class},
        {"demonitor", &demonitor_class},
        {"monitor_exit", &monitor_exit_class},
        {"ask", &ask_class},
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

/* What messaging.py says of them, word by word: a test compares. */
PyDoc_STRVAR(
    send_doc,
    "send($module, target, message, *, priority=False)\n"
    "--\n"
    "\n"
    "Send `message`; returns at once, and says nothing about delivery (Erlang's `!`).\n"
    "\n"
    "Between a pair of processes the order of sending is the order of arrival. To a process that is dead, or a node that\n"
    "can't be reached, it is silently lost. A local receiver gets the very object: treat what you have sent as frozen.\n"
    "\n"
    "Args:\n"
    "    target: a pid, an alias, a name on this node, or `(name, node)`.\n"
    "    message: any value; for another node one that can cross the wire.\n"
    "    priority: put it before all ordinary messages, if `target` is an alias whose owner has made it for that (see\n"
    "        `alias`); otherwise it changes nothing.\n"
    "\n"
    "Raises:\n"
    "    UnknownName: nobody on this node has the name.\n"
    "    TypeError, ValueError: no such target.\n"
    "    EncodeError: the message can't cross the wire; nothing was sent.\n"
    "    ConnectionFull: too much is waiting for that node; nothing was sent.");
PyDoc_STRVAR(
    receive_doc,
    "receive($module, pattern=None, timeout=None)\n"
    "--\n"
    "\n"
    "Take the first message that matches, and wait for one if there is none (Erlang's `receive ... after`).\n"
    "\n"
    "Without the `await` nothing is received; a type checker warns of that. Each `await` of what it returns is a receive.\n"
    "\n"
    "Args:\n"
    "    pattern: None for any message; a type, a union or a tuple of types; a `Ref` for what carries it (a `Down`, a\n"
    "        reply, a tuple that starts with it); or a predicate, which looks at messages and does nothing else. Messages\n"
    "        that don't match stay, in order.\n"
    "    timeout: seconds to wait at most; 0 looks once at what is there; None waits for ever.\n"
    "\n"
    "Raises:\n"
    "    TimeoutError: no such message in time.\n"
    "    TypeError, ValueError: no such pattern; the timeout is not a number.\n"
    "    Exit: the process has got an exit signal; let it pass.");

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
    PyTypeObject *types[] = {&MailboxType, &InitializerType, &ProcessTableType, &RelationTablesType, &FrameBuilderType,
                             &AssemblyType};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(types); i++) {
        if (PyType_Ready(types[i]) < 0) {
            return NULL;
        }
    }
    if (identifiers_ready() < 0 || monitors_ready() < 0 || process_ready() < 0 || runqueue_ready() < 0 ||
        messaging_ready() < 0 || receive_ready() < 0 || encoder_ready() < 0 || decoder_ready() < 0 || signals_ready() < 0) {
        return NULL;
    }
    PyTypeObject *shown[] = {&PidType, &RefType, &MailboxType, &TaskStateType, &RunQueueType, &InitializerType,
                             &ProcessTableType, &RelationTablesType, &EncoderType, &DecoderType, &SignalReaderType,
                             &FrameBuilderType, &AssemblyType};
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
