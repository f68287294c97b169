/* carried.c - see carried.h. */
#include "flashgate/inventory/carried.h"

#include "flashgate/base/json_slice.h"

const char *const fg_section_names[] = {
#define FG_SECTION_NAME(name, word) word,
    FG_SECTIONS(FG_SECTION_NAME)
#undef FG_SECTION_NAME
        NULL
};

enum fg_section fg_section_find(struct fg_text name)
{
    int section = 0;
    while (section < FG_SECTION_COUNT &&
           !fg_text_equal(name, fg_text_of(fg_section_names[section])))
        section++;
    return (enum fg_section)section;
}

bool fg_carried_read(struct fg_text carried, struct fg_text sections[FG_SECTION_COUNT])
{
    struct fg_json_slicer slicer = fg_json_slicer_over(carried, FG_SECTION_DEPTH + 1);
    struct fg_json_member member;
    enum fg_json_step step;
    for (int section = 0; section < FG_SECTION_COUNT; section++)
        sections[section] = FG_TEXT("");
    while ((step = fg_json_slice(&slicer, &member)) == FG_JSON_MEMBER) {
        enum fg_section section = fg_section_find(member.name);
        if (section == FG_SECTION_COUNT || sections[section].length > 0 ||
            !fg_json_is_object(member.value))
            return false;
        sections[section] = member.value;
    }
    return step == FG_JSON_END;
}
